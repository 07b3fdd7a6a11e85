"""Which gallery products are relevant to which query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


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
    members: dict[str, list[int]] = {}
    for row, group in enumerate(gallery_groups):
        if group:
            members.setdefault(group, []).append(row)
    itself = [-1] * len(query_groups) if excluded is None else excluded.tolist()
    pairs = [
        (query, item)
        for query, group in enumerate(query_groups)
        for item in members.get(group, ())
        if item != itself[query]
    ]
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return RelevantPairs(query_count=len(query_groups), queries=array[:, 0], items=array[:, 1])


def rows_of_same_product(query_ids: Sequence[str], gallery_ids: Sequence[str]) -> Ints:
    """Returns the gallery row that has a query's own identifier, int64 (Q,); -1 for none."""
    rows: Mapping[str, int] = {identifier: row for row, identifier in enumerate(gallery_ids)}
    return np.array([rows.get(identifier, -1) for identifier in query_ids], dtype=np.int64)
