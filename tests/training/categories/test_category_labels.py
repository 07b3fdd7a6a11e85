"""Numbers of labels, and weighted F1 of predictions against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from twinshelf.training.categories.category_labels import (
    Labels,
    Predictions,
    score_predictions,
)
from twinshelf.training.evaluation.category_vote import UNKNOWN


def test_labels_are_sorted_and_the_empty_one_is_none() -> None:
    labels = Labels.of(["b", "", "a", "b"])
    assert labels.names == ("a", "b")
    assert labels.numbers(["b", "z", ""]).tolist() == [1, UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("given", [[], [""], ["a", "a"]])
def test_one_class_only_is_refused(given: list[str]) -> None:
    with pytest.raises(ValueError, match="at least two different labels"):
        Labels.of(given)


def test_the_score_equals_scikit_learn_with_unseen_labels_as_missed() -> None:
    generator = np.random.default_rng(0)
    labels = Labels(names=("a", "b", "c"))
    actual = generator.choice(list("abcz"), 200).tolist()
    numbers = generator.integers(-1, 3, 200)
    made = Predictions(numbers=numbers, margins=np.zeros(200))
    predicted = [labels.names[n] if n >= 0 else "" for n in numbers]
    expected = f1_score(actual, predicted, average="weighted", zero_division=0)
    assert score_predictions(actual, made, labels) == pytest.approx(expected)
