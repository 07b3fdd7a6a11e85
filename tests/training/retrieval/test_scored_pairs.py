"""Pairs at a threshold, against scikit-learn and a loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from twinshelf.training.retrieval.scored_pairs import (
    ScoredPairs,
    average_precision_of_pairs,
    best_f1_threshold,
    precision_recall,
    quality_at,
)


def drawn_pairs(count: int = 400, missed_count: int = 0) -> ScoredPairs:
    generator = np.random.default_rng(2)
    labels = generator.random(count) < 0.3
    scores = (generator.normal(size=count) + labels).round(1)  # with ties
    return ScoredPairs(scores=scores, is_match=labels, missed_count=missed_count)


@pytest.mark.parametrize("missed_count", [0, 40])
def test_precision_and_recall_equal_a_loop(missed_count: int) -> None:
    pairs = drawn_pairs(missed_count=missed_count)
    precision, recall, thresholds = precision_recall(pairs)
    assert thresholds.tolist() == sorted(set(pairs.scores.tolist()), reverse=True)
    expected = [quality_at(pairs, threshold) for threshold in thresholds]
    np.testing.assert_allclose(precision, [quality.precision for quality in expected])
    np.testing.assert_allclose(recall, [quality.recall for quality in expected])


def test_pairs_without_a_match_find_nothing_of_what_they_miss() -> None:
    none = np.zeros(3, dtype=bool)
    missed = ScoredPairs(scores=np.array([0.2, 0.1, 0.2]), is_match=none, missed_count=1)
    assert average_precision_of_pairs(missed) == 0.0


def test_missed_pairs_count_as_matches_that_are_never_found() -> None:
    pairs, whole = drawn_pairs(), drawn_pairs(missed_count=50)
    share = pairs.match_count / whole.match_count
    expected = share * average_precision_of_pairs(pairs)
    assert average_precision_of_pairs(whole) == pytest.approx(expected, abs=1e-12)
    assert quality_at(whole, 0).recall == pytest.approx(share * quality_at(pairs, 0).recall)


def test_quality_at_a_threshold_equals_scikit_learn() -> None:
    pairs = drawn_pairs()
    for threshold in (-1.0, 0.3, 2.0):
        expected = f1_score(pairs.is_match, pairs.scores >= threshold)
        assert quality_at(pairs, threshold).f1 == pytest.approx(expected)


@pytest.mark.parametrize("missed_count", [0, 40])
def test_the_best_threshold_is_the_best_of_all_scores(missed_count: int) -> None:
    pairs = drawn_pairs(missed_count=missed_count)
    best = max(quality_at(pairs, score).f1 for score in pairs.scores)
    assert quality_at(pairs, best_f1_threshold(pairs)).f1 == pytest.approx(best)


def test_accepting_nothing_has_no_precision_and_f1_zero() -> None:
    quality = quality_at(drawn_pairs(), 99.0)
    assert math.isnan(quality.precision)
    assert (quality.recall, quality.f1) == (0.0, 0.0)


def test_without_pairs_there_is_no_average_precision() -> None:
    none = ScoredPairs(scores=np.zeros(0), is_match=np.zeros(0, dtype=bool))
    assert math.isnan(average_precision_of_pairs(none))
    with pytest.raises(ValueError, match="at least one matching pair"):
        best_f1_threshold(none)


def test_bad_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="score of pair 1 is not finite"):
        ScoredPairs(scores=np.array([0.1, np.nan]), is_match=np.array([True, False]))
    with pytest.raises(ValueError, match=r"\(2,\) and \(1,\)"):
        ScoredPairs(scores=np.zeros(2), is_match=np.array([True]))
    with pytest.raises(ValueError, match="missed_count"):
        ScoredPairs(scores=np.zeros(1), is_match=np.array([True]), missed_count=-1)
