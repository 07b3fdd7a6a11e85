"""Category votes against a loop, weighted F1 against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from training.evaluation.categories import judge_categories, vote, weighted_f1
from training.retrieval import NO_CANDIDATE, Candidates


def candidates(items: list[list[int]], scores: list[list[float]]) -> Candidates:
    return Candidates(items=np.array(items), scores=np.array(scores, dtype=np.float32))


def test_weighted_f1_equals_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    actual = generator.choice(list("abcde"), 300).tolist()
    predicted = generator.choice(list("abcdxy"), 300).tolist()
    expected = f1_score(actual, predicted, average="weighted", zero_division=0)
    assert weighted_f1(actual, predicted) == pytest.approx(expected)


def test_the_vote_is_weighted_by_score() -> None:
    found = candidates([[0, 1, 2]], [[0.9, 0.88, 0.88]])
    assert vote(found, ["a", "b", "b"], 3) == ["b"]
    assert vote(found, ["a", "b", "b"], 1) == ["a"]
    assert vote(candidates([[0, 1, 2]], [[0.9, 0.8, 0.8]]), ["a", "b", "b"], 3) == ["a"]


def test_padding_and_unknown_categories_have_no_vote() -> None:
    found = candidates([[0, 1, NO_CANDIDATE]], [[0.9, 0.1, -np.inf]])
    assert vote(found, ["", "b"], 3) == ["b"]
    assert vote(candidates([[0, 1]], [[0.5, -0.9]]), ["a", "b"], 2) == ["a"]
    assert vote(candidates([[NO_CANDIDATE]], [[-np.inf]]), ["a"], 1) == [""]


def test_unseen_categories_count_as_wrong_and_unknown_ones_are_left_out() -> None:
    found = candidates([[0], [0], [0]], [[0.9], [0.9], [0.9]])
    quality = judge_categories(["a", "z", ""], found, ["a"], 1)
    assert (quality.query_count, quality.unseen_count, quality.accuracy) == (2, 1, 0.5)


def test_no_queries_have_no_f1() -> None:
    assert math.isnan(weighted_f1([], []))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="neighbour_count"):
        vote(candidates([[0]], [[1.0]]), ["a"], 0)
    with pytest.raises(ValueError, match="2 actual and 1 predicted"):
        weighted_f1(["a", "b"], ["a"])
