"""Bootstrap confidence intervals of means over queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST_DRAWS = 4_000_000  # numbers held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean and the interval it lies in.

    Attributes:
        value: Mean over the queries that have a value; NaN when none has.
        low: Lower end of the interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def estimate_means(
    values: Mapping[str, Floats],
    clusters: Sequence[str],
    *,
    confidence: float = 0.95,
    resample_count: int = 1000,
    seed: int = 42,
) -> dict[str, Estimate]:
    """Returns the mean of each metric with its percentile bootstrap interval.

    Whole clusters are drawn, because the offers of one product succeed and fail together.

    Args:
        values: Metric to value per query (Q,); NaN leaves a query out of that mean.
        clusters: What a query belongs to (Q).
        confidence: Share of resamples inside of the interval, above 0 and below 1.
        resample_count: Resamples, 1 or more.
        seed: Seed of the draws.

    Raises:
        ValueError: If the counts differ or a setting is out of range.

    Source: Efron, Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be above 0 and below 1, got {confidence}")
    if resample_count < 1:
        raise ValueError(f"resample_count must be 1 or more, got {resample_count}")
    for name, rows in values.items():
        if rows.shape != (len(clusters),):
            raise ValueError(f"{name} must be ({len(clusters)},), got {rows.shape}")
    if not values:
        return {}
    matrix = np.stack(list(values.values()), axis=1)  # (Q, M)
    valid = ~np.isnan(matrix)
    names, places = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    sums, counts = np.zeros((2, len(names), matrix.shape[1]))
    np.add.at(sums, places, np.where(valid, matrix, 0.0))
    np.add.at(counts, places, valid)
    means = _resampled_means(sums, counts, resample_count, np.random.default_rng(seed))
    tail = 50 * (1 - confidence)
    estimates = {}
    for column, name in enumerate(values):
        count = counts[:, column].sum()
        if not count:
            estimates[name] = Estimate(value=float("nan"), low=float("nan"), high=float("nan"))
            continue
        low, high = np.nanpercentile(means[:, column], [tail, 100 - tail])
        value = float(sums[:, column].sum() / count)
        estimates[name] = Estimate(value=value, low=float(low), high=float(high))
    return estimates


def _resampled_means(
    sums: Floats, counts: Floats, resample_count: int, generator: np.random.Generator
) -> Floats:
    """Returns the means of each resample, (R, M); NaN where it drew no value."""
    cluster_count = len(sums)
    means = []
    step = max(1, MOST_DRAWS // max(1, cluster_count))
    for start in range(0, resample_count, step):
        rows = min(step, resample_count - start)
        drawn = generator.integers(0, cluster_count, (rows, cluster_count))
        drawn += cluster_count * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * cluster_count)
        weights = weights.reshape(rows, cluster_count).astype(np.float64)
        totals = weights @ counts
        means.append(np.where(totals > 0, weights @ sums / np.maximum(totals, 1), np.nan))
    return np.concatenate(means)
