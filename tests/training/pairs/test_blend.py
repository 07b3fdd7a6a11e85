"""Blending of the boosting with the cross-encoder."""

import math
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import numpy.typing as npt
import pytest

from twinshelf.training.pairs.blend import (
    NEURAL_SHARES,
    BlendedScorer,
    blend_probabilities,
    choose_neural_share,
    measure_pairs,
    try_on_halves,
)
from twinshelf.training.pairs.scorer import PairScorer, best_threshold


def noisy(labels: npt.NDArray[Any], noise: float, seed: int) -> npt.NDArray[np.float64]:
    p = np.random.default_rng(seed).normal(labels.astype(float), noise)
    return np.clip(0.1 + 0.8 * p, 0.01, 0.99)


@pytest.fixture
def labels() -> npt.NDArray[np.bool_]:
    return np.random.default_rng(0).random(300) < 0.3


def test_a_blend_is_the_weighted_mean_of_log_odds() -> None:
    blended = blend_probabilities(np.array([0.2, 0.9]), np.array([0.6, 0.4]), 0.3)
    for p, q, found in ((0.2, 0.6, blended[0]), (0.9, 0.4, blended[1])):
        odds = 0.7 * math.log(p / (1 - p)) + 0.3 * math.log(q / (1 - q))
        assert found == pytest.approx(1 / (1 + math.exp(-odds)))


def test_a_share_of_nothing_or_all_is_one_side_alone() -> None:
    boosted, neural = np.array([0.2, 0.9]), np.array([0.6, 0.4])
    np.testing.assert_allclose(blend_probabilities(boosted, neural, 0), boosted)
    np.testing.assert_allclose(blend_probabilities(boosted, neural, 1), neural)
    assert np.isfinite(blend_probabilities(np.array([0.0]), np.array([1.0]), 0.5)).all()


@pytest.mark.slow
def test_the_better_side_gets_the_share(labels: npt.NDArray[np.bool_]) -> None:
    good, chance = noisy(labels, 0.1, 1), noisy(np.zeros(300), 1.0, 2)
    assert choose_neural_share(labels, good, chance) == 0
    assert choose_neural_share(labels, chance, good) == 1


@pytest.mark.slow
def test_two_sides_with_errors_of_their_own_share(labels: npt.NDArray[np.bool_]) -> None:
    share = choose_neural_share(labels, noisy(labels, 0.4, 1), noisy(labels, 0.4, 2))
    assert share in NEURAL_SHARES and 0 < share < 1


@pytest.mark.slow
def test_a_tie_goes_to_the_boosting(labels: npt.NDArray[np.bool_]) -> None:
    same = noisy(labels, 0.2, 1)
    assert choose_neural_share(labels, same, same) == 0


def test_metrics_are_those_of_a_slow_count(labels: npt.NDArray[np.bool_]) -> None:
    p = 0.3 * labels + 0.7 * np.random.default_rng(3).random(300)  # no ties
    found = measure_pairs(labels, p, 0.5)
    hits = int(((p >= 0.5) & labels).sum())
    precision, recall = hits / (p >= 0.5).sum(), hits / labels.sum()
    assert found.precision == pytest.approx(precision)
    assert found.recall == pytest.approx(recall)
    assert found.f1 == pytest.approx(2 * precision * recall / (precision + recall))
    order = np.argsort(-p)
    ranked = labels[order]
    average = np.mean([ranked[: i + 1].mean() for i in np.flatnonzero(ranked)])
    assert found.pr_auc == pytest.approx(average)
    assert (found.pair_count, found.match_count) == (300, labels.sum())


def test_a_threshold_is_tried_on_the_halves_that_did_not_choose_it() -> None:
    generator = np.random.default_rng(0)
    labels, fresh = generator.random((2, 2000)) < 0.2
    scores, again = (
        np.clip(generator.normal(np.where(each, 0.6, 0.4), 0.12), 0, 1) for each in (labels, fresh)
    )

    def choose(labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]) -> float:
        return best_threshold(labels, scores)[0]

    found = try_on_halves(labels, scores, choose)
    threshold, f1 = found["threshold"], found["F1"]
    chosen, best = best_threshold(labels, scores)
    assert threshold.low < chosen < threshold.high and f1.low < f1.value < f1.high
    assert f1.value < best
    # Of 400 matches: what the interval is of.
    assert f1.low < measure_pairs(fresh, again, chosen).f1 < f1.high
    certain = try_on_halves(labels, labels.astype(float), choose)["F1"]
    assert (certain.low, certain.value, certain.high) == (1.0, 1.0, 1.0)
    few = np.arange(5) < 1
    assert try_on_halves(few, few.astype(float), choose)["F1"].value == 0.0


def test_saving_removes_evaluations_of_an_older_scorer(tmp_path: Path) -> None:
    scorer = BlendedScorer(
        boosting=Mock(spec=PairScorer), cross_encoder=None, neural_share=0.0, threshold=0.5
    )
    (tmp_path / "evaluation-test.json").write_text("{}")
    scorer.save(tmp_path, {}, {})
    assert {path.name for path in tmp_path.iterdir()} == {"pairs.json"}
