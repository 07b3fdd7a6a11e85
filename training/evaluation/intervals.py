"""Bootstrap confidence intervals of means over queries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import bootstrap

from twinshelf.training.runs.figures import ABSENT

Floats = npt.NDArray[np.float64]

RESAMPLE_COUNT, SEED = 1000, 42
CONFIDENCE = 0.95  # share of resamples inside of an interval
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

    def __str__(self) -> str:
        """Returns the mean with its interval, marked up for `rich`; a dash for NaN."""
        if math.isnan(self.value):
            return ABSENT
        return f"{self.value:.3f} [dim]{self.low:.3f}–{self.high:.3f}[/dim]"


def estimate_means(values: Mapping[str, Floats], clusters: Sequence[str]) -> dict[str, Estimate]:
    """Returns the mean of each metric with its percentile bootstrap interval of 95 %.

    Whole clusters are drawn, because the offers of one product succeed and fail together.

    Args:
        values: Metric to value per query (Q,); NaN leaves a query out of that mean.
        clusters: What a query belongs to (Q).

    Source: Efron, Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13.
    """
    if not values:
        return {}
    by_cluster = pd.DataFrame(values).groupby(np.asarray(clusters, dtype=object))
    sums, counts = (each.to_numpy(np.float64) for each in (by_cluster.sum(), by_cluster.count()))
    means = _resampled_means(sums, counts)
    tail = 50 * (1 - CONFIDENCE)
    estimates = {}
    for column, name in enumerate(values):
        count = counts[:, column].sum()
        if not count:
            estimates[name] = Estimate(value=math.nan, low=math.nan, high=math.nan)
            continue
        low, high = np.nanpercentile(means[column], [tail, 100 - tail])
        value = float(sums[:, column].sum() / count)
        estimates[name] = Estimate(value=value, low=float(low), high=float(high))
    return estimates


def _resampled_means(sums: Floats, counts: Floats) -> Floats:
    """Returns the means of each resample, (M, R); NaN where it drew no value."""
    cluster_count = len(sums)
    both = np.concatenate([sums, counts], axis=1)  # (C, 2M)

    def totals_of(drawn: npt.NDArray[np.int64], axis: int = 1) -> Floats:
        rows = len(drawn)
        places = drawn + cluster_count * np.arange(rows)[:, None]
        weights = np.bincount(places.ravel(), minlength=rows * cluster_count)
        return (weights.reshape(rows, cluster_count).astype(np.float64) @ both).T

    if cluster_count < 2:  # scipy refuses it: every resample is the whole
        totals = both.T
    else:
        totals = bootstrap(
            (np.arange(cluster_count),),
            totals_of,
            n_resamples=RESAMPLE_COUNT,
            batch=max(1, MOST_DRAWS // cluster_count),
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(SEED),
        ).bootstrap_distribution
    summed, counted = np.split(totals, 2)
    return np.where(counted > 0, summed / np.maximum(counted, 1), np.nan)
