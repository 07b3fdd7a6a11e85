"""The vote against a slow loop; K against trying each."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from sklearn.metrics import f1_score

from twinshelf.training.categories.knn import MOST_NEIGHBOURS, score_neighbour_counts, vote
from twinshelf.training.evaluation.category_vote import UNKNOWN
from twinshelf.training.retrieval.exact_search import NO_CANDIDATE, Candidates


def candidates(items: list[list[int]], scores: list[list[float]]) -> Candidates:
    return Candidates(items=np.array(items), scores=np.array(scores, dtype=np.float32))


def sums_of(found: Candidates, row: int, numbers: np.ndarray, k: int) -> dict[int, float]:
    sums: dict[int, float] = defaultdict(float)
    for item, score in list(zip(found.items[row], found.scores[row], strict=True))[:k]:
        if item >= 0 and numbers[item] >= 0:
            sums[int(numbers[item])] += math.exp(float(score) / 0.07)
    return sums


def slow_vote(found: Candidates, numbers: np.ndarray, k: int) -> tuple[list[int], list[float]]:
    answers, margins = [], []
    for row in range(len(found.items)):
        sums = sums_of(found, row, numbers, k)
        answers.append(max(sums, key=sums.__getitem__) if sums else UNKNOWN)
        wide = sums_of(found, row, numbers, 20)
        own = wide.pop(answers[-1], 0.0)
        best_other = max(wide.values(), default=0.0)
        total = own + sum(wide.values())
        margins.append(max(0.0, (own - best_other) / total) if total else 0.0)
    return answers, margins


@pytest.mark.parametrize("k", [1, 3, 7])
def test_the_vote_equals_a_loop(k: int) -> None:
    generator = np.random.default_rng(k)
    scores = np.sort(generator.uniform(-0.5, 1, (50, 7)).astype(np.float32), axis=1)[:, ::-1]
    items = np.array([generator.permutation(30)[:7] for _ in range(50)])
    items[::9, 4:] = NO_CANDIDATE
    scores = np.where(items < 0, -np.inf, scores).astype(np.float32)
    numbers = generator.integers(-1, 4, 30)
    found = Candidates(items=items, scores=scores)
    made = vote(found, numbers, k)
    answers, margins = slow_vote(found, numbers, k)
    assert made.numbers.tolist() == answers
    assert made.margins == pytest.approx(margins)


def test_of_equal_sums_the_label_that_came_first_wins_without_a_margin() -> None:
    made = vote(candidates([[2, 0]], [[0.5, 0.5]]), np.array([0, 1, 2]), 2)
    assert made.numbers.tolist() == [2]
    assert made.margins.tolist() == [0.0]


def test_a_unanimous_vote_has_the_whole_margin() -> None:
    made = vote(candidates([[0, 1]], [[0.9, 0.4]]), np.array([1, 1]), 2)
    assert made.margins.tolist() == [1.0]


def test_a_single_neighbour_has_a_margin_too() -> None:
    found = candidates([[0, 1, 2]], [[0.8, 0.5, 0.1]])
    made = vote(found, np.array([0, 1, 0]), 1)
    assert made.numbers.tolist() == [0]
    weights = [math.exp(score / 0.07) for score in (0.8, 0.5, 0.1)]
    assert made.margins == pytest.approx([(weights[0] - weights[1] + weights[2]) / sum(weights)])


def test_a_nearer_neighbour_without_a_label_does_not_drown_the_others() -> None:
    found = candidates([[0, 1, 2, 3]], [[1.0, -0.6, -0.61, -0.61]])
    assert vote(found, np.array([UNKNOWN, 0, 1, 1]), 4).numbers.tolist() == [1]


def test_no_neighbour_gives_no_label() -> None:
    made = vote(candidates([[NO_CANDIDATE]], [[-np.inf]]), np.array([0]), 1)
    assert made.numbers.tolist() == [UNKNOWN]
    assert made.margins.tolist() == [0.0]


def test_each_k_is_scored_as_scikit_learn_scores_its_vote() -> None:
    generator = np.random.default_rng(1)
    items = np.array([generator.permutation(40)[:20] for _ in range(60)])
    scores = np.sort(generator.uniform(0, 1, (60, 20)), axis=1)[:, ::-1].astype(np.float32)
    found = Candidates(items=items, scores=scores)
    numbers, actual = generator.integers(0, 3, 40), generator.integers(0, 3, 60)
    expected = {
        k: f1_score(actual, vote(found, numbers, k).numbers, average="weighted", zero_division=0)
        for k in range(1, MOST_NEIGHBOURS + 1)
    }
    assert score_neighbour_counts(found, numbers, actual) == pytest.approx(expected)
