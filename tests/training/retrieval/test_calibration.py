"""Calibration: curves rise, recover a known truth, and survive degenerate pairs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from twinshelf.training.retrieval.calibration import Calibration, Curve
from twinshelf.training.retrieval.calibration_fit import fit_curve, fit_threshold
from twinshelf.training.retrieval.scored_pairs import ScoredPairs

CURVE = Curve(scores=(0.0, 1.0), probabilities=(0.0, 1.0))


def sigmoid(scores: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-15 * (scores - 0.6)))


def pairs_of(scores: list[float], labels: list[bool]) -> ScoredPairs:
    return ScoredPairs(
        scores=np.array(scores, dtype=np.float64), is_match=np.array(labels, dtype=np.bool_)
    )


def drawn_pairs(count: int, seed: int = 0) -> ScoredPairs:
    generator = np.random.default_rng(seed)
    scores = generator.uniform(-0.2, 1.0, count)
    return ScoredPairs(scores=scores, is_match=generator.random(count) < sigmoid(scores))


def test_a_known_truth_is_recovered_from_many_pairs() -> None:
    curve = fit_curve(drawn_pairs(20_000))
    scores = np.linspace(0.0, 0.95, 50)
    # About three standard errors of 20,000 pairs at the level of one knot.
    np.testing.assert_allclose(curve.probability(scores), sigmoid(scores), atol=0.08)


def test_few_pairs_give_a_sigmoid() -> None:
    curve = fit_curve(drawn_pairs(400))
    logits = np.log(np.array(curve.probabilities) / (1 - np.array(curve.probabilities)))
    slopes = np.diff(logits) / np.diff(curve.scores)
    # Away from the ends, where six decimals say little of the logarithm.
    np.testing.assert_allclose(slopes[20:-20], slopes[30], rtol=0.01)
    assert slopes[30] == pytest.approx(15, rel=0.3)


@pytest.mark.parametrize("count", [4, 50, 5000])
def test_curves_rise_and_stay_inside_of_0_and_1(count: int) -> None:
    pairs = drawn_pairs(count)
    pairs.is_match[:2] = True, False
    probabilities = fit_curve(pairs).probability(np.linspace(-2, 2, 300))
    assert (np.diff(probabilities) >= 0).all()
    assert probabilities.min() >= 0 and probabilities.max() <= 1


@pytest.mark.parametrize("repeats", [1, 200])
def test_separated_classes_never_become_certain(repeats: int) -> None:
    curve = fit_curve(
        pairs_of([0.1, 0.2, 0.8, 0.9] * repeats, [False, False, True, True] * repeats)
    )
    low, high = curve.probability([0.1, 0.9])
    assert 0 < low < 0.5 < high < 1


@pytest.mark.parametrize("repeats", [1, 200])
def test_scores_that_tell_nothing_get_the_base_rate(repeats: int) -> None:
    curve = fit_curve(
        pairs_of([0.9, 0.8, 0.2, 0.1] * repeats, [False, False, True, True] * repeats)
    )
    np.testing.assert_allclose(curve.probability([0.0, 0.5, 1.0]), 0.5, atol=1e-6)


def test_equal_scores_are_one_level() -> None:
    assert len(fit_curve(pairs_of([0.5] * 600, [True, False, False] * 200)).scores) == 1


@pytest.mark.parametrize("label", [True, False])
def test_one_class_is_refused_with_what_is_needed(label: bool) -> None:
    with pytest.raises(ValueError, match="same product and of different products, got"):
        fit_curve(pairs_of([0.1, 0.2], [label, label]))
    with pytest.raises(ValueError, match="needs pairs"):
        fit_threshold(pairs_of([], []), CURVE, target_precision=0.9)


@pytest.mark.parametrize("target", [0.5, 0.8, 0.95, 1.0])
def test_the_threshold_is_the_lowest_that_reaches_the_precision(target: float) -> None:
    drawn = drawn_pairs(500, seed=5)
    scores, labels = drawn.scores.round(2), drawn.is_match  # with ties
    found = fit_threshold(replace(drawn, scores=scores), CURVE, target_precision=target)
    likely = 0.75 * labels + 0.25 * CURVE.probability(scores)
    precision = {threshold: likely[scores >= threshold].mean() for threshold in scores}
    highest = max(precision.values())
    assert found == min(s for s, value in precision.items() if value >= min(target, highest))


def test_a_threshold_is_not_taken_for_what_was_right_by_chance() -> None:
    seen: list[float] = []
    drawn_towards: list[float] = []
    for seed in range(40):  # a tenth are matches, as few as an evaluation may have
        generator = np.random.default_rng(seed)
        labels = generator.random(1000) < 0.1
        scores = generator.normal(np.where(labels, 0.8, 0.5), 0.1).clip(-1, 1)
        pairs = ScoredPairs(scores=scores, is_match=labels)
        flat = Curve(scores=(0.0,), probabilities=(0.95,))  # expects the target everywhere
        for found, curve in ((seen, flat), (drawn_towards, fit_curve(pairs))):
            threshold = fit_threshold(pairs, curve, target_precision=0.95)
            tails = [norm.sf(threshold, mean, 0.1) for mean in (0.8, 0.5)]
            found.append(0.1 * tails[0] / (0.1 * tails[0] + 0.9 * tails[1]))
    assert np.mean(drawn_towards) > np.mean(seen) + 0.003


def test_an_unreachable_precision_takes_the_best_there_is() -> None:
    pairs = pairs_of([0.9, 0.8, 0.7], [False, True, False])
    assert fit_threshold(pairs, CURVE, target_precision=0.99) == 0.8


def calibration() -> Calibration:
    curve = fit_curve(drawn_pairs(1000))
    return Calibration(curves={"image": curve, "both": curve}, thresholds={"image": 0.7, "both": 0})


def test_calibration_survives_its_json() -> None:
    assert Calibration.from_json(calibration().to_json()) == calibration()


@pytest.mark.parametrize("text", ["[]", "{}", '{"calibration": {"image": 1}, "thresholds": {}}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a calibration"):
        Calibration.from_json(text)


def test_unknown_or_half_patterns_are_refused() -> None:
    values = json.loads(calibration().to_json())
    values["thresholds"]["audio"] = 0.5
    with pytest.raises(ValueError, match="audio"):
        Calibration.from_json(json.dumps(values))
    with pytest.raises(ValueError, match="same patterns"):
        Calibration(curves={}, thresholds={"image": 0.5})


@pytest.mark.parametrize(
    ("scores", "probabilities"),
    [
        ((), ()),
        ((0.1,), (0.1, 0.2)),
        ((0.2, 0.1), (0.1, 0.2)),
        ((0.1, 0.2), (0.2, 0.1)),
        ((0.1, 0.2), (0.1, 1.2)),
        ((0.1, float("nan")), (0.1, 0.2)),
    ],
)
def test_points_that_are_no_curve_are_refused(scores: tuple, probabilities: tuple) -> None:
    with pytest.raises(ValueError, match="curve|probabilities"):
        Curve(scores=scores, probabilities=probabilities)
