"""Reliability: whether pairs given a probability match that often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Pairs of like probability.

    Attributes:
        low: Least probability of the bin.
        high: Greatest probability of the bin; it belongs to the next, except for 1.
        pair_count: Pairs in it.
        mean_probability: What they were given, on average; NaN without pairs.
        match_share: Share of them that match; NaN without pairs.
    """

    low: float
    high: float
    pair_count: int
    mean_probability: float
    match_share: float


def reliability_bins(
    probabilities: npt.ArrayLike, is_match: npt.ArrayLike, bin_count: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Sorts pairs into bins of equal width.

    Args:
        probabilities: Probabilities, 0 to 1 (P,).
        is_match: Whether a pair is of the same product (P,).
        bin_count: Bins, 1 or more.

    Raises:
        ValueError: If shapes differ or a probability is out of range.
    """
    given, labels = np.asarray(probabilities, np.float64), np.asarray(is_match, np.bool_)
    if given.ndim != 1 or given.shape != labels.shape:
        raise ValueError(
            f"probabilities and labels must be (P,) each, got {given.shape} and {labels.shape}"
        )
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError("probabilities must be 0 to 1")
    if bin_count < 1:
        raise ValueError(f"bin_count must be 1 or more, got {bin_count}")
    places = np.minimum((given * bin_count).astype(np.int64), bin_count - 1)
    bins = []
    for number in range(bin_count):
        inside = places == number
        count = int(inside.sum())
        bins.append(
            ReliabilityBin(
                low=number / bin_count,
                high=(number + 1) / bin_count,
                pair_count=count,
                mean_probability=float(given[inside].mean()) if count else float("nan"),
                match_share=float(labels[inside].mean()) if count else float("nan"),
            )
        )
    return tuple(bins)


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """ECE: mean distance of probability and match share over bins, weighted by pairs, 0 to 1.

    NaN without pairs.

    Source: Naeini, Cooper, Hauskrecht, Obtaining well calibrated probabilities using Bayesian
    binning (2015).
    """
    filled = [found for found in bins if found.pair_count]
    total = sum(found.pair_count for found in filled)
    if not total:
        return float("nan")
    distances = (
        found.pair_count * abs(found.match_share - found.mean_probability) for found in filled
    )
    return sum(distances) / total
