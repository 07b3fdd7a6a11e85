"""Numbers of labels, those that are not there among them."""

from __future__ import annotations

import numpy as np
import pytest

from twinshelf.training.categories.category_labels import UNSEEN, Labels
from twinshelf.training.evaluation.category_vote import UNKNOWN


def test_labels_are_sorted_and_the_empty_one_is_none() -> None:
    labels = Labels.of(["b", "", "a", "b"])
    assert labels.names == ("a", "b")
    assert labels.numbers(["b", "z", ""]).tolist() == [1, UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("given", [[], [""], ["a", "a"]])
def test_one_class_only_is_refused(given: list[str]) -> None:
    with pytest.raises(ValueError, match="at least two different labels"):
        Labels.of(given)


def test_a_label_that_is_not_there_can_be_told_from_no_prediction() -> None:
    labels = Labels(names=("a", "b"))
    assert labels.numbers(["z", "b"], missing=UNSEEN).tolist() == [UNSEEN, 1]
    assert labels.numbers([]).dtype == np.int64
    assert UNSEEN != UNKNOWN
