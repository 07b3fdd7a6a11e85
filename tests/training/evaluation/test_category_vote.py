"""Votes of candidates, and what they are worth as categories."""

from __future__ import annotations

import math

import numpy as np

from twinshelf.training.evaluation.category_vote import (
    UNKNOWN,
    Votes,
    vote_f1,
    weighted_f1,
)
from twinshelf.training.retrieval.exact_search import NO_CANDIDATE, Candidates


def candidates(items: list[list[int]], scores: list[list[float]]) -> Candidates:
    return Candidates(items=np.array(items), scores=np.array(scores, dtype=np.float32))


def winners(found: Candidates, numbers: list[int], k: int) -> list[int]:
    return Votes.of(found, np.array(numbers)).winners(k).tolist()


def test_the_vote_is_weighted_by_score() -> None:
    found = candidates([[0, 1, 2]], [[0.9, 0.88, 0.88]])
    assert winners(found, [0, 1, 1], 3) == [1]
    assert winners(found, [0, 1, 1], 1) == [0]
    assert winners(candidates([[0, 1, 2]], [[0.9, 0.8, 0.8]]), [0, 1, 1], 3) == [0]


def test_padding_and_unknown_categories_have_no_vote() -> None:
    found = candidates([[0, 1, NO_CANDIDATE]], [[0.9, 0.1, -np.inf]])
    assert winners(found, [UNKNOWN, 1], 3) == [1]
    assert winners(candidates([[0, 1]], [[0.5, -0.9]]), [0, 1], 2) == [0]
    assert winners(candidates([[NO_CANDIDATE]], [[-np.inf]]), [0], 1) == [UNKNOWN]


def test_unseen_categories_count_as_wrong_and_unknown_ones_are_left_out() -> None:
    found = candidates([[0], [0], [0]], [[0.9], [0.9], [0.9]])
    # Of "a" one of two answers is right, F1 2/3; of "z" none: each weighs one query.
    assert vote_f1(["a", "z", ""], found, ["a"]) == 1 / 3


def test_no_queries_have_no_f1() -> None:
    assert math.isnan(weighted_f1([], []))
    found = candidates([[0]], [[0.9]])
    assert math.isnan(vote_f1([""], found, ["a"])) and math.isnan(vote_f1(["a"], found, [""]))
