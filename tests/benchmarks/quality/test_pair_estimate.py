"""The estimate of F1 without a test half."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_curve

from tests.benchmarks.quality.pair_estimate import estimate_f1


@pytest.mark.slow
def test_pairs_that_are_told_apart_come_to_one() -> None:
    labels = np.arange(40) % 4 == 0
    found = estimate_f1(labels, np.where(labels, 0.9, 0.1))
    assert (found.f1.value, found.f1.low, found.f1.high) == (1.0, 1.0, 1.0)
    assert (found.half_count, found.pair_count) == (100, 40)


@pytest.mark.slow
def test_the_estimate_is_below_the_best_f1_on_the_same_pairs_and_near_the_true_one() -> None:
    generator = np.random.default_rng(0)
    labels = generator.random(4000) < 0.2
    scores = np.clip(generator.normal(np.where(labels, 0.6, 0.4), 0.12), 0, 1)
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    found = estimate_f1(labels, scores)
    assert found.f1.low < found.f1.value < found.f1.high
    assert found.f1.value <= f1.max()
    fresh = generator.random(4000) < 0.2
    again = np.clip(generator.normal(np.where(fresh, 0.6, 0.4), 0.12), 0, 1)
    true = f1_score(fresh, again >= thresholds[f1[:-1].argmax()])
    assert found.f1.value == pytest.approx(true, abs=0.03)  # noise of 800 matches


def test_too_few_matches_are_refused() -> None:
    with pytest.raises(ValueError, match="two matches and two non-matches, got 1 and 3"):
        estimate_f1([True, False, False, False], np.array([0.9, 0.1, 0.2, 0.3]))
