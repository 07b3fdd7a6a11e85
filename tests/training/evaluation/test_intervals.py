"""Bootstrap intervals: right mean, known width, whole clusters."""

from __future__ import annotations

import math

import numpy as np
import pytest

from twinshelf.training.evaluation import intervals
from twinshelf.training.evaluation.intervals import estimate_means


def names(count: int) -> list[str]:
    return [f"q{number}" for number in range(count)]


@pytest.mark.slow
def test_the_interval_of_independent_values_has_the_normal_width(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intervals, "RESAMPLE_COUNT", 4000)
    values = np.random.default_rng(0).normal(size=2000)
    found = estimate_means({"m": values}, names(2000))["m"]
    half = 1.96 * values.std() / math.sqrt(2000)
    assert found.value == pytest.approx(values.mean())
    # 4000 resamples fix a 2.5 % quantile to about 3 % of the width.
    assert found.high - found.value == pytest.approx(half, rel=0.1)
    assert found.value - found.low == pytest.approx(half, rel=0.1)


def test_equal_values_in_a_cluster_widen_the_interval() -> None:
    values = np.repeat(np.random.default_rng(1).normal(size=100), 25)
    clusters = np.repeat(names(100), 25).tolist()
    alone = estimate_means({"m": values}, names(2500))["m"]
    together = estimate_means({"m": values}, clusters)["m"]
    assert together.high - together.low == pytest.approx(5 * (alone.high - alone.low), rel=0.25)


def test_resamples_equal_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MOST_DRAWS", 20), ("RESAMPLE_COUNT", 50), ("SEED", 7)):
        monkeypatch.setattr(intervals, name, value)
    sums, counts = np.array([[3.0], [0.0], [4.0]]), np.array([[2.0], [0.0], [1.0]])
    found = intervals._resampled_means(sums, counts)
    generator = np.random.default_rng(7)
    expected = []
    for start in range(0, 50, 6):
        for drawn in generator.integers(0, 3, (min(6, 50 - start), 3)):
            total = counts[drawn].sum()
            expected.append(sums[drawn].sum() / total if total else math.nan)
    np.testing.assert_allclose(found[0], expected)


def test_nan_leaves_a_query_out_of_its_metric_only() -> None:
    found = estimate_means(
        {"a": np.array([1.0, math.nan, 0.0]), "b": np.array([1.0, 1.0, 1.0])}, names(3)
    )
    assert found["a"].value == 0.5
    assert (found["b"].low, found["b"].high) == (1.0, 1.0)


def test_a_metric_without_values_is_nan() -> None:
    found = estimate_means({"m": np.array([math.nan, math.nan])}, names(2))["m"]
    assert math.isnan(found.value) and math.isnan(found.low)


def test_a_repeat_gives_the_same_interval() -> None:
    values = {"m": np.random.default_rng(0).random(50)}
    assert estimate_means(values, names(50)) == estimate_means(values, names(50))
