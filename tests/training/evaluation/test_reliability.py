"""Calibration error against torchmetrics and a loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from training.evaluation.reliability import expected_calibration_error, reliability_bins


def test_the_error_equals_torchmetrics() -> None:
    generator = np.random.default_rng(0)
    given = generator.random(3000)
    labels = generator.random(3000) < given**2
    found = expected_calibration_error(reliability_bins(given, labels, 15))
    expected = binary_calibration_error(
        torch.from_numpy(given), torch.from_numpy(labels.astype(int)), n_bins=15
    )
    assert found == pytest.approx(float(expected), abs=1e-6)


def test_bins_equal_a_loop() -> None:
    generator = np.random.default_rng(1)
    given, labels = generator.random(200) ** 3, generator.random(200) < 0.5
    for place, found in enumerate(reliability_bins(given, labels, 10)):
        inside = [i for i, p in enumerate(given) if place / 10 <= p < (place + 1) / 10]
        assert found.pair_count == len(inside)
        if inside:
            assert found.match_share == pytest.approx(np.mean([labels[i] for i in inside]))
            assert found.mean_probability == pytest.approx(np.mean([given[i] for i in inside]))


def test_true_probabilities_have_hardly_an_error() -> None:
    generator = np.random.default_rng(2)
    given = generator.random(100_000)
    bins = reliability_bins(given, generator.random(100_000) < given)
    assert expected_calibration_error(bins) < 0.01


def test_certainty_belongs_to_the_last_bin() -> None:
    assert reliability_bins([1.0, 0.0], [True, False])[-1].pair_count == 1


def test_no_pairs_have_no_error() -> None:
    assert math.isnan(expected_calibration_error(reliability_bins([], [])))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        reliability_bins([1.1], [True])
    with pytest.raises(ValueError, match="0 to 1"):
        reliability_bins([math.nan], [True])
    with pytest.raises(ValueError, match=r"\(1,\) and \(2,\)"):
        reliability_bins([0.1], [True, False])
