"""The rows of a part that are nearest to a query, alive, and allowed by a filter.

A wide filter is answered by the graph, which is asked for more rows than are wanted; a narrow one
by looking at every row that it allows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.facets.facet_table import Allowed
from twinshelf.server.catalogue.index.graph import Rows, search_exactly
from twinshelf.server.catalogue.index.segment import Part

# Where too few of the rows that the graph found are eligible, it is asked for more of them.
_FETCH_GROWTH = 3
# So many of the best must not be missed; measured on clustered vectors, see
# tests/benchmarks/filtered_search.py: recall@10 stays at .99 with so many rows for each rank.
_DEPTH = 10
_ROWS_PER_RANK = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """Rows of a part near a query.

    Attributes:
        rows: (N,) rows; the graph does not sort them.
        is_exact: Whether every row was looked at that could be one of them.
    """

    rows: Rows
    is_exact: bool


class _Eligible:
    """The rows of a part that a search may return: alive at a change, and allowed by a filter."""

    def __init__(self, part: Part, now: int, allowed: Allowed | None) -> None:
        self.vectors = part.vectors
        self._dead_since, self._now = part.dead_since, now
        self._mask: npt.NDArray[np.bool_] | None = None
        # The delta may have grown since its vectors were taken: the count alone tells too little.
        self._has_dead = part.dead_count > 0
        self.count = min(part.living_count, len(self.vectors))
        if allowed is not None:
            total = len(self.vectors)
            is_allowed = allowed.mask.take(_facet_rows(part, allowed)[:total], mode="clip")
            self._mask = is_allowed & (self._dead_since[:total] > now)
            self.count = int(np.count_nonzero(self._mask))

    def choose(self, rows: Rows) -> Rows:
        """Returns those of some rows that are eligible."""
        rows = rows[rows < len(self.vectors)]
        if self._mask is not None:
            return rows[self._mask[rows]]
        if not self._has_dead:
            return rows
        return rows[self._dead_since[rows] > self._now]

    def first_fetch_count(self, count: int) -> int:
        """Returns how many rows the graph is asked for so that `count` of them are eligible.

        With three standard deviations more, so that few queries must ask again.
        """
        share = self.count / len(self.vectors)
        wanted = count + 3 * math.sqrt(count * (1 - share))
        if self._mask is not None and share < 1:
            wanted = max(wanted, _ROWS_PER_RANK * (_DEPTH + math.sqrt(_DEPTH * (1 - share))))
        return math.ceil(wanted / share)

    def needed_fetch_count(self, rows: Rows, chosen: Rows) -> int:
        """Returns how many rows the graph must be asked for to find the best that are eligible.

        It misses rows the more, the nearer their rank is to the count that it was asked for, and a
        filter may leave none of the first ranks.

        Args:
            rows: What it found, the nearest first.
            chosen: Those of them that are eligible.
        """
        if self._mask is None or self.count == len(self.vectors) or len(chosen) == 0:
            return 0
        last = chosen[min(_DEPTH, len(chosen)) - 1]
        return _ROWS_PER_RANK * (int(np.argmax(rows == last)) + 1)

    @property
    def rows(self) -> Rows | None:
        """All of them; None when they are all rows of the part."""
        if self._mask is not None:
            return np.flatnonzero(self._mask)
        rows = np.flatnonzero(self._dead_since[: len(self.vectors)] > self._now)
        return None if len(rows) == len(self.vectors) else rows


def find_nearest(
    part: Part,
    queries: npt.NDArray[np.float32],
    count: int,
    now: int,
    allowed: Allowed | None = None,
) -> list[Nearest]:
    """Returns the rows of up to `count` products of a part near each query (N, D).

    A product has a row for each photo. So many rows are looked for that they should be of enough
    products, and more where they are not; what is found holds the best row of each.

    Args:
        part: The part.
        queries: (N, D) query vectors.
        count: Products that are looked for; more may be found.
        now: The change at which the rows must have lived.
        allowed: The products that they may be of; None takes all.
    """
    row_count = math.ceil(count * part.vectors_per_product)
    eligible = _Eligible(part, now, allowed)
    nearest = _find_rows(part, queries, row_count, eligible)
    open_numbers: Sequence[int] = range(len(queries)) if part.vectors_per_product > 1 else ()
    while open_numbers := [
        number
        for number in open_numbers
        if len(rows := nearest[number].rows) >= row_count
        and len(np.unique(part.product_numbers[rows])) < count
    ]:
        row_count *= _FETCH_GROWTH
        more = _find_rows(part, queries[open_numbers], row_count, eligible)
        for number, found in zip(open_numbers, more, strict=True):
            nearest[number] = found
    return nearest


def _find_rows(
    part: Part, queries: npt.NDArray[np.float32], count: int, eligible: _Eligible
) -> list[Nearest]:
    """Returns up to `count` rows of a part near each query (N, D).

    The graph is asked for so many rows that enough of them should be eligible, and for more when
    they are not; where it would be quicker to look at all eligible rows, that is done. So neither
    dead rows that lie thick around a query nor a narrow filter make a search long.
    """
    nearest = {
        number: Nearest(rows=rows, is_exact=False)
        for number, rows in _ask_graph(part, queries, count, eligible).items()
    }
    if len(nearest) < len(queries):
        all_rows = eligible.rows
        for number in set(range(len(queries))) - set(nearest):
            rows = search_exactly(eligible.vectors, queries[number], count, all_rows)
            nearest[number] = Nearest(rows=rows, is_exact=True)
    return [nearest[number] for number in range(len(queries))]


def _ask_graph(
    part: Part, queries: npt.NDArray[np.float32], count: int, eligible: _Eligible
) -> dict[int, Rows]:
    """Returns eligible rows by the number of the query, without those that have too few."""
    total = len(eligible.vectors)
    wanted = min(count, eligible.count)
    fetch_count = eligible.first_fetch_count(count) if wanted else total
    nearest: dict[int, Rows] = {}
    open_numbers = list(range(len(queries)))
    while open_numbers:
        fetch_count = next_count = min(fetch_count, total)
        if eligible.count <= part.config.scanned_per_found * fetch_count:
            break
        found = part.search_graph(queries[open_numbers], fetch_count)
        if found is None:
            break
        for number, rows in zip(open_numbers, found, strict=True):
            chosen = eligible.choose(rows)
            needed_count = eligible.needed_fetch_count(rows, chosen)
            if len(chosen) < wanted:
                needed_count = _FETCH_GROWTH * fetch_count
            if needed_count <= fetch_count:
                nearest[number] = chosen
            next_count = max(next_count, needed_count)
        open_numbers = [number for number in open_numbers if number not in nearest]
        if fetch_count == total:
            break
        fetch_count = next_count
    return nearest


def _facet_rows(part: Part, allowed: Allowed) -> Rows:
    """Returns the rows of the facet table of a part, found once for each vector."""
    (table, rows), numbers = part.facet_rows, part.product_numbers
    if table is not allowed.table:  # it was read anew: its rows are others
        rows = np.empty(0, dtype=np.int64)
    if len(rows) < len(numbers):
        rows = np.append(rows, allowed.find_rows(numbers[len(rows) :]))
        part.facet_rows = allowed.table, rows
    return rows
