"""Calibration: curves rise, recover a known truth, and survive degenerate pairs."""

from __future__ import annotations

import json
from typing import cast

import numpy as np
import pytest

from twinshelf.training.retrieval.calibration import Calibration, Curve, Method
from twinshelf.training.retrieval.calibration_fit import fit_curve, fit_threshold

METHODS: tuple[Method, ...] = ("platt", "isotonic")


def sigmoid(scores: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-15 * (scores - 0.6)))


def drawn_pairs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    scores = generator.uniform(-0.2, 1.0, count)
    return scores, generator.random(count) < sigmoid(scores)


# The tolerances are about three standard errors of 20,000 pairs at the level of one knot.
@pytest.mark.parametrize(("method", "tolerance"), [("platt", 0.03), ("isotonic", 0.08)])
def test_a_known_truth_is_recovered(method: Method, tolerance: float) -> None:
    curve = fit_curve(*drawn_pairs(20_000), method=method)
    scores = np.linspace(0.0, 0.95, 50)
    np.testing.assert_allclose(curve.probability(scores), sigmoid(scores), atol=tolerance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [4, 50, 5000])
def test_curves_rise_and_stay_inside_of_0_and_1(method: Method, count: int) -> None:
    scores, labels = drawn_pairs(count)
    labels[:2] = True, False
    probabilities = fit_curve(scores, labels, method=method).probability(np.linspace(-2, 2, 300))
    assert (np.diff(probabilities) >= 0).all()
    assert probabilities.min() >= 0 and probabilities.max() <= 1


@pytest.mark.parametrize("method", METHODS)
def test_separated_classes_never_become_certain(method: Method) -> None:
    curve = fit_curve([0.1, 0.2, 0.8, 0.9], [False, False, True, True], method=method)
    low, high = curve.probability([0.1, 0.9])
    assert 0 < low < 0.5 < high < 1


@pytest.mark.parametrize("method", METHODS)
def test_scores_that_tell_nothing_get_the_base_rate(method: Method) -> None:
    curve = fit_curve([0.9, 0.8, 0.2, 0.1], [False, False, True, True], method=method)
    np.testing.assert_allclose(curve.probability([0.0, 0.5, 1.0]), 0.5, atol=1e-6)


def test_equal_scores_are_one_level() -> None:
    curve = fit_curve([0.5, 0.5, 0.5], [True, False, False], method="isotonic")
    assert len(curve.scores) == 1


def test_auto_takes_isotonic_for_many_pairs_and_platt_for_few() -> None:
    for count, method in zip((100, 5000), METHODS, strict=True):
        pairs = drawn_pairs(count)
        assert fit_curve(*pairs) == fit_curve(*pairs, method=method)


@pytest.mark.parametrize("label", [True, False])
def test_one_class_is_refused_with_what_is_needed(label: bool) -> None:
    with pytest.raises(ValueError, match="same product and of different products, got"):
        fit_curve([0.1, 0.2], [label, label])
    with pytest.raises(ValueError, match="needs pairs"):
        fit_threshold([], [])


def test_bad_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="pair 1 is not"):
        fit_curve([0.1, np.nan], [True, False])
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        fit_curve([0.1, 0.2], [True, False, True])
    with pytest.raises(ValueError, match="method must be"):
        fit_curve([0.1, 0.2], [True, False], method=cast(Method, "spline"))


@pytest.mark.parametrize("target", [0.5, 0.8, 0.95, 1.0])
def test_the_threshold_is_the_lowest_that_reaches_the_precision(target: float) -> None:
    scores, labels = drawn_pairs(500, seed=5)
    scores = scores.round(2)  # with ties
    found = fit_threshold(scores, labels, target_precision=target)
    reaching = [threshold for threshold in scores if labels[scores >= threshold].mean() >= target]
    assert found == min(reaching)


def test_an_unreachable_precision_takes_the_best_there_is() -> None:
    assert fit_threshold([0.9, 0.8, 0.7], [False, True, False], target_precision=0.99) == 0.8


def test_a_target_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="target_precision"):
        fit_threshold([0.1, 0.2], [True, False], target_precision=0)


def calibration() -> Calibration:
    curve = fit_curve(*drawn_pairs(1000))
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
