"""Reliability: whether what is given a probability comes true as often, and what is taken of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from twinshelf.training.evaluation.intervals import CONFIDENCE, RESAMPLE_COUNT, SEED, Estimate

Floats = npt.NDArray[np.float64]
BIN_COUNT = 10
RESAMPLES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Claims of like probability.

    Attributes:
        count: How many.
        mean_probability: What they were given, on average.
        true_share: Share of them that are true.
    """

    count: int
    mean_probability: float
    true_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How far probabilities and truth are apart.

    Attributes:
        error: Expected calibration error with its interval, 0 to 1; NaN without claims.
        bins: Bins of equal mass, by rising probability.
    """

    error: Estimate
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many first matches, or labels, are taken at a target precision.

    Attributes:
        share: Share of the offers of which it is taken, 0 to 1.
        precision: Share of those that are right; NaN when none is taken.
        oracle_share: What the best threshold, chosen with the answers known, would take.
    """

    share: float
    precision: float
    oracle_share: float


def measure_reliability(
    probabilities: Floats, is_true: npt.NDArray[np.bool_], clusters: Sequence[str]
) -> Reliability:
    """Measures the expected calibration error over bins of equal mass.

    Even true probabilities have an error by chance, since a bin holds few claims. How much it adds
    is estimated by drawing clusters anew and is taken off, of the interval too.

    Args:
        probabilities: Probabilities, 0 to 1 (P,).
        is_true: Whether the claim is true (P,).
        clusters: What a claim belongs to: claims of one cluster come true together (P).

    Source: Naeini, Cooper, Hauskrecht, Obtaining well calibrated probabilities using Bayesian
    binning (2015); Efron, Tibshirani, An Introduction to the Bootstrap (1993), chapters 10 and 13.
    """
    if not len(probabilities):
        nothing = float("nan")
        return Reliability(error=Estimate(value=nothing, low=nothing, high=nothing), bins=())
    order = np.argsort(probabilities, kind="stable")
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order)) * BIN_COUNT // len(order)
    # In the order of their names: no order of claims changes what is drawn.
    numbers, _ = pd.factorize(np.asarray(clusters, dtype=object), sort=True)
    sums = np.zeros((numbers.max() + 1, 3, BIN_COUNT))  # (C, 3, B): count, probability, truth
    for row, values in enumerate((np.ones(len(order)), probabilities, is_true)):
        np.add.at(sums[:, row], (numbers, places), values)
    error = float(_error(sums.sum(axis=0)))
    draws = _resampled_errors(sums)
    low, high = np.percentile(draws, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    value, low, high = (max(0.0, 2 * error - each) for each in (float(draws.mean()), high, low))
    counts, given, true = sums.sum(axis=0)
    return Reliability(
        error=Estimate(value=value, low=min(low, value), high=max(high, value)),
        bins=tuple(
            ReliabilityBin(count=int(n), mean_probability=float(p / n), true_share=float(t / n))
            for n, p, t in zip(counts, given, true, strict=True)
            if n
        ),
    )


def measure_coverage(
    given: Floats, is_right: npt.NDArray[np.bool_], is_taken: npt.NDArray[np.bool_], target: float
) -> Coverage:
    """Measures what was taken of claims (P,) given probabilities, at a target precision."""
    order = np.argsort(-given, kind="stable")
    precision = np.cumsum(is_right[order]) / np.arange(1, len(order) + 1)
    reached = np.flatnonzero(precision >= target)
    return Coverage(
        share=float(is_taken.mean()),
        precision=float(is_right[is_taken].mean()) if is_taken.any() else float("nan"),
        oracle_share=(int(reached[-1]) + 1) / len(order) if len(reached) else 0.0,
    )


def _error(sums: Floats) -> Floats:
    """Returns the error of bins, (..., 3, B) to (...)."""
    return np.asarray(np.abs(sums[..., 1, :] - sums[..., 2, :]).sum(-1) / sums[..., 0, :].sum(-1))


def _resampled_errors(sums: Floats) -> Floats:
    generator, count = np.random.default_rng(SEED), len(sums)
    flat = sums.reshape(count, -1)
    errors = []
    for start in range(0, RESAMPLE_COUNT, RESAMPLES_AT_ONCE):
        rows = min(RESAMPLES_AT_ONCE, RESAMPLE_COUNT - start)
        weights = generator.multinomial(count, np.full(count, 1 / count), size=rows)
        errors.append(_error((weights @ flat).reshape(rows, *sums.shape[1:])))
    return np.concatenate(errors)
