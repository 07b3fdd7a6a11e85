"""NDCG of judged lists: the items of each query have gains, and nothing else is ranked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedPairs:
    """Pairs of a query and a judged product, in any order.

    Attributes:
        query_count: Queries (Q).
        queries: Number of the query of each pair, 0 to below Q, int64 (P,).
        scores: Score of each pair, higher is better, float64 (P,).
        gains: Worth of each pair's label, 0 or more, float64 (P,).

    Raises:
        ValueError: If the arrays do not fit each other, or a score or gain is out of range.
    """

    query_count: int
    queries: Ints
    scores: Floats
    gains: Floats

    def __post_init__(self) -> None:
        shapes = {self.queries.shape, self.scores.shape, self.gains.shape}
        if shapes != {(len(self.queries),)}:
            raise ValueError(f"queries, scores and gains must be (P,) each, got {sorted(shapes)}")
        if len(self.queries) and not 0 <= self.queries.min() <= self.queries.max() < (
            self.query_count
        ):
            raise ValueError(f"queries must be 0 to {self.query_count - 1}")
        if not np.isfinite(self.scores).all():
            raise ValueError("scores must be finite")
        if not (np.isfinite(self.gains).all() and (self.gains >= 0).all()):
            raise ValueError("gains must be 0 or more")


def graded_ndcg(pairs: JudgedPairs, k: int | None = None) -> Floats:
    """NDCG@K with discount 1/log2(1 + rank), 0 to 1, (Q,); NaN for a query without any gain.

    Of equal scores the lesser gain comes first, so that an encoder that cannot tell products apart
    gets nothing for the order in which they happen to lie in the file.

    Source: Järvelin, Kekäläinen, Cumulated gain-based evaluation of IR techniques (2002).

    Args:
        pairs: The judged lists.
        k: Ranks that count, 1 or more; None counts all.
    """
    if k is not None and k < 1:
        raise ValueError(f"k must be 1 or more, got {k}")
    gain = _discounted_sums(pairs, np.lexsort((pairs.gains, -pairs.scores, pairs.queries)), k)
    return _share_of_ideal(gain, pairs, k)


def random_ndcg(pairs: JudgedPairs) -> Floats:
    """NDCG that a random order has on average, 0 to 1, (Q,); NaN for a query without any gain.

    Judged lists hold many right products, so that even this is high: a figure says something only
    by its distance from it.
    """
    counts = np.bincount(pairs.queries, minlength=pairs.query_count)
    sums = np.bincount(pairs.queries, weights=pairs.gains, minlength=pairs.query_count)
    longest = int(counts.max(initial=0))
    discounts = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, longest + 2)))])
    return _share_of_ideal(sums / np.maximum(counts, 1) * discounts[counts], pairs, None)


def _share_of_ideal(gain: Floats, pairs: JudgedPairs, k: int | None) -> Floats:
    ideal = _discounted_sums(pairs, np.lexsort((-pairs.gains, pairs.queries)), k)
    return np.where(ideal > 0, gain / np.where(ideal > 0, ideal, 1.0), np.nan)


def _discounted_sums(pairs: JudgedPairs, order: Ints, k: int | None) -> Floats:
    """Sums discounted gains per query; the order keeps the pairs of a query together."""
    queries = pairs.queries[order]
    counts = np.bincount(pairs.queries, minlength=pairs.query_count)
    firsts = np.cumsum(counts) - counts
    ranks = np.arange(len(queries)) - firsts[queries] + 1
    worth = pairs.gains[order] / np.log2(1.0 + ranks)
    if k is not None:
        worth = np.where(ranks <= k, worth, 0.0)
    sums = np.bincount(queries, weights=worth, minlength=pairs.query_count)
    return sums.astype(np.float64)
