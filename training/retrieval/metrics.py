"""Which products are relevant, and retrieval metrics as pure functions of the ranks they got.

A query without a relevant item has no recall: its value is NaN, and `mean` leaves it out. Whoever
prints a mean prints the count of such queries beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RelevantPairs:
    """Which gallery products are relevant to which query.

    Attributes:
        query_count: Queries, those without a relevant product included.
        queries: Rows of queries, int64 (P,), not falling.
        items: Rows of the gallery, int64 (P,).
    """

    query_count: int
    queries: Ints
    items: Ints

    def of_queries(self, start: int, stop: int) -> tuple[Ints, Ints]:
        """Returns the pairs of queries start to stop; query rows are counted from start."""
        first, last = np.searchsorted(self.queries, [start, stop])
        return self.queries[first:last] - start, self.items[first:last]


def pairs_by_group(
    query_groups: Sequence[str], gallery_groups: Sequence[str], excluded: Ints | None = None
) -> RelevantPairs:
    """Pairs queries with the gallery products of the same group; an empty group has no pair.

    Args:
        query_groups: Group of each query (Q).
        gallery_groups: Group of each gallery product (G).
        excluded: Gallery row that is the query itself and so no pair, int64 (Q,); -1 for none.
    """
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(gallery_groups):
        if group:
            rows.setdefault(group, []).append(row)
    # Arrays: where groups are categories, millions of pairs would be a gigabyte of tuples.
    members = {group: np.array(each, dtype=np.int64) for group, each in rows.items()}
    nobody = np.empty(0, dtype=np.int64)
    found = [members.get(group, nobody) for group in query_groups]
    queries = np.repeat(np.arange(len(found)), np.array(list(map(len, found)), dtype=np.int64))
    items = np.concatenate([nobody, *found])
    if excluded is not None:
        is_other = items != excluded[queries]
        queries, items = queries[is_other], items[is_other]
    return RelevantPairs(query_count=len(query_groups), queries=queries, items=items)


def rows_of_same_product(query_ids: Sequence[str], gallery_ids: Sequence[str]) -> Ints:
    """Returns the gallery row that has a query's own identifier, int64 (Q,); -1 for none."""
    rows: Mapping[str, int] = {identifier: row for row, identifier in enumerate(gallery_ids)}
    return np.array([rows.get(identifier, -1) for identifier in query_ids], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RelevantRanks:
    """Where the relevant items of each query stand in its ranking.

    Attributes:
        query_count: Queries, those without a relevant item included (Q).
        queries: Number of the query that a relevant item belongs to, int64 (P,), not falling.
        ranks: Rank of that item among all the items of the gallery, 1 is best, int64 (P,);
            rising within a query.
    """

    query_count: int
    queries: Ints
    ranks: Ints

    @classmethod
    def of_pairs(cls, query_count: int, queries: Ints, ranks: Ints) -> Self:
        """Reads the rank of each relevant item, in any order.

        Args:
            query_count: Queries, those without relevant items included (Q).
            queries: Number of each item's query, int64 (P,).
            ranks: Rank of each item, int64 (P,).
        """
        order = np.lexsort((ranks, queries))
        return cls(query_count=query_count, queries=queries[order], ranks=ranks[order])

    @property
    def relevant_counts(self) -> Ints:
        """Relevant items in the gallery per query, int64 (Q,)."""
        return np.bincount(self.queries, minlength=self.query_count)

    @property
    def no_relevant_count(self) -> int:
        """Queries without a relevant item."""
        return int((self.relevant_counts == 0).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingScores:
    """How well a gallery was ranked.

    Attributes:
        recall_at_1: Share of queries whose first hit is right, 0 to 1; NaN without queries.
        mean_average_precision: MAP over the whole ranking, 0 to 1; NaN without queries.
    """

    recall_at_1: float
    mean_average_precision: float

    @classmethod
    def of(cls, found: RelevantRanks) -> Self:
        """Returns the scores of the queries that have a relevant item."""
        return cls(
            recall_at_1=mean(accuracy_at(found, 1)),
            mean_average_precision=mean(average_precision(found)),
        )


def mean(values: Floats) -> float:
    """Returns the mean over the queries that have a relevant item; NaN when none has."""
    valid = values[~np.isnan(values)]
    return float(valid.mean()) if len(valid) else float("nan")


def hit_counts(found: RelevantRanks, k: int) -> Ints:
    """Counts the relevant items among the first k, int64 (Q,)."""
    return np.bincount(found.queries[found.ranks <= k], minlength=found.query_count)


def precision_at(found: RelevantRanks, k: int) -> Floats:
    """P@K: relevant items among the first k, divided by k, 0 to 1, (Q,).

    It divides by k even where the gallery or the relevant items are fewer, so a query with one
    relevant item has at most 1/k.

    Source: Manning, Raghavan, Schütze, Introduction to Information Retrieval, section 8.4.
    """
    return _nan_without_relevant(found, hit_counts(found, k) / k)


def recall_at(found: RelevantRanks, k: int) -> Floats:
    """R@K: share of all relevant items that are among the first k, 0 to 1, (Q,).

    With R relevant items it is at most k/R; `accuracy_at` asks for one of them only, and is what
    image-retrieval papers call recall@K. With one relevant item per query both are the same.

    Source: Manning, Raghavan, Schütze, Introduction to Information Retrieval, section 8.4.
    """
    return _nan_without_relevant(found, hit_counts(found, k) / np.maximum(found.relevant_counts, 1))


def f1_at(found: RelevantRanks, k: int) -> Floats:
    """F1@K: harmonic mean of P@K and R@K of the query, 2·hits/(k + R), (Q,).

    Source: van Rijsbergen, Information Retrieval (1979), chapter 7, with β = 1.
    """
    return _nan_without_relevant(found, 2 * hit_counts(found, k) / (k + found.relevant_counts))


def accuracy_at(found: RelevantRanks, k: int) -> Floats:
    """Acc@K: 1 where at least one of the first k is relevant, else 0, (Q,).

    Source: Song et al., Deep Metric Learning via Lifted Structured Feature Embedding (2016),
    section 6, where it is called Recall@K.
    """
    return _nan_without_relevant(found, (hit_counts(found, k) > 0).astype(np.float64))


def ndcg_at(found: RelevantRanks, k: int) -> Floats:
    """NDCG@K with gain 1 per relevant item and discount 1/log2(1 + rank), (Q,).

    The ideal ranking has min(k, R) relevant items on top.

    Source: Järvelin, Kekäläinen, Cumulated gain-based evaluation of IR techniques (2002).
    """
    near = found.ranks <= k
    gains = 1.0 / np.log2(1.0 + found.ranks[near])
    dcg = np.bincount(found.queries[near], weights=gains, minlength=found.query_count)
    counts = found.relevant_counts
    deepest = min(k, int(counts.max(initial=0)))
    ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, deepest + 2)))])
    return _nan_without_relevant(found, dcg / np.maximum(ideal[np.minimum(counts, deepest)], 1.0))


def average_precision(found: RelevantRanks) -> Floats:
    """AP: mean over a query's relevant items of the precision at their rank, (Q,).

    It reads the whole ranking, without a cut. Its mean over queries is MAP.

    Source: Manning, Raghavan, Schütze, Introduction to Information Retrieval, equation 8.8.
    """
    counts = found.relevant_counts
    firsts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    places = np.arange(len(found.ranks)) - firsts[found.queries] + 1
    sums = np.bincount(found.queries, weights=places / found.ranks, minlength=found.query_count)
    return _nan_without_relevant(found, sums / np.maximum(counts, 1))


def _nan_without_relevant(found: RelevantRanks, values: npt.NDArray[np.floating]) -> Floats:
    return np.where(found.relevant_counts == 0, np.nan, values)
