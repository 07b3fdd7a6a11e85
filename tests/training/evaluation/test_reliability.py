"""Calibration error: against a loop, without what chance adds, with an interval that holds it."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from twinshelf.training.evaluation import reliability
from twinshelf.training.evaluation.intervals import estimate_means
from twinshelf.training.evaluation.reliability import BIN_COUNT, measure_reliability
from twinshelf.training.grouping.group_scores import evaluate_groups


def names(count: int, size: int = 1) -> list[str]:
    return [f"g{number // size}" for number in range(count)]


def test_bins_hold_equal_masses_and_equal_a_loop() -> None:
    generator = np.random.default_rng(1)
    given, labels = generator.random(205) ** 3, generator.random(205) < 0.5
    found = measure_reliability(given, labels, names(205))
    order = sorted(range(205), key=lambda place: given[place])
    for number, part in enumerate(found.bins):
        inside = [order[i] for i in range(205) if i * BIN_COUNT // 205 == number]
        assert part.count == len(inside) in (20, 21)
        assert part.mean_probability == pytest.approx(np.mean([given[i] for i in inside]))
        assert part.true_share == pytest.approx(np.mean([labels[i] for i in inside]))


@pytest.mark.slow
def test_an_error_that_is_there_is_found() -> None:
    generator = np.random.default_rng(0)
    given = generator.random(20_000) * 0.8
    found = measure_reliability(given, generator.random(20_000) < given + 0.1, names(20_000))
    assert found.error.low < 0.1 < found.error.high
    assert found.error.value == pytest.approx(0.1, abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 8])
def test_true_probabilities_have_no_error_however_few_they_are(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reliability, "RESAMPLE_COUNT", 200)
    errors = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        given = np.repeat(generator.random(400 // size), size)
        labels = np.repeat(generator.random(400 // size), size) < given
        found = measure_reliability(given, labels, names(400, size))
        plain = sum(abs(b.mean_probability - b.true_share) * b.count for b in found.bins) / 400
        errors.append((found.error.value, plain))
    debiased, plain = np.mean(errors, axis=0)
    # The correction takes off what can be told from one sample: some 0.4 of it.
    assert debiased < 0.7 * plain


def test_nothing_has_no_error() -> None:
    found = measure_reliability(np.zeros(0), np.zeros(0, dtype=np.bool_), [])
    assert math.isnan(found.error.value) and found.bins == ()


CLUSTERS = ["x" * 200_000, *names(400)]
GIVEN = np.random.default_rng(0).random(len(CLUSTERS))


@pytest.mark.parametrize(
    "measure",
    [
        lambda: measure_reliability(GIVEN, GIVEN > 0.5, CLUSTERS),
        lambda: estimate_means({"m": GIVEN}, CLUSTERS),
        lambda: evaluate_groups(np.arange(len(CLUSTERS)), CLUSTERS),
    ],
)
def test_one_long_name_does_not_make_all_of_them_long(measure: Callable[[], object]) -> None:
    measure()  # what the libraries keep for good
    tracemalloc.start()
    try:
        measure()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20
