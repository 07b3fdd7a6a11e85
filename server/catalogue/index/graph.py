"""The HNSW graph over the vectors of a segment: how it is made, mapped, and searched by threads."""

from __future__ import annotations

import math
import os
import queue
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from usearch.index import BatchMatches, Index, MetricKind, search

Rows = npt.NDArray[np.int64]
DTYPE = "bf16"
_EXACT_BLOCK = 4096
# With more vectors more candidates are weighed: so many times as many for each tenfold.
_BASE_COUNT, _GROWTH = 100_000, 1.7


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """How vectors are indexed, and when they are indexed anew.

    Attributes:
        connectivity: Links of a node.
        expansion_add: Candidates that are weighed when a vector is added.
        expansion_search: Candidates that are weighed in a search of 100,000 vectors or fewer.
        exact_limit: So many vectors, or fewer, are searched exhaustively.
        scanned_per_found: Vectors that are looked at one by one in the time in which the graph
            finds one more; decides between the two.
        apart_limit: Graphs of more vectors than these are built in a process of their own.
        churn_share: Dead vectors are dropped when they are more than this share of all...
        churn_floor: ...and more than this count.
        merge_share: New vectors join the graph on disk when they are more than this share of it...
        merge_floor: ...and more than this count.
        slot_count: Searches that may run at once.
        build_thread_count: Threads that build a graph.
    """

    connectivity: int = 24
    expansion_add: int = 128
    expansion_search: int = 96
    exact_limit: int = 1024
    scanned_per_found: int = 25
    apart_limit: int = 8192
    churn_share: float = 0.25
    churn_floor: int = 1024
    merge_share: float = 0.1
    merge_floor: int = 16_384
    slot_count: int = 4
    build_thread_count: int = os.cpu_count() or 1

    def search_expansion(self, count: int) -> int:
        """Returns the candidates that are weighed in a search of so many vectors.

        Of a million, 96 find .984 of the ten best and 163 .9975, as 192 do; of 100,000 96 find all
        (vectors of 512 numbers in clusters, `tests.benchmarks.scale`).
        """
        tenfolds = math.log10(max(count, _BASE_COUNT) / _BASE_COUNT)
        return round(self.expansion_search * math.pow(_GROWTH, tenfolds))

    def new_graph(self, dimension: int) -> Index:
        """Makes an empty graph for vectors of a length."""
        return Index(
            ndim=dimension,
            metric=MetricKind.IP,
            dtype=DTYPE,
            connectivity=self.connectivity,
            expansion_add=self.expansion_add,
            expansion_search=self.expansion_search,
            # Keys are rows of a table and never looked up: usearch needs no table of its own.
            enable_key_lookups=False,
        )


class MappedGraph:
    """A graph in a file that no longer changes.

    A usearch index lends its working memory to one search at a time, so each slot maps the file
    anew; the pages are shared.
    """

    def __init__(self, path: Path, dimension: int, config: IndexConfig) -> None:
        """Maps the file, which must be whole: what is torn would end the process."""
        self.path = path
        # The one used last is taken first: the system knows the pages of that mapping.
        self._slots: queue.LifoQueue[Index] = queue.LifoQueue()
        for _ in range(config.slot_count):
            slot = config.new_graph(dimension)
            slot.view(path)
            # usearch has this setter, which mypy does not see.
            slot.expansion_search = config.search_expansion(len(slot))  # type: ignore[misc]
            self._slots.put(slot)

    def search(self, queries: npt.NDArray[np.float32], count: int) -> list[Rows]:
        """Returns up to `count` rows near each query (N, D); waits while all slots are in use."""
        slot = self._slots.get()
        try:
            return search_graph(slot, queries, count)
        finally:
            self._slots.put(slot)


def search_graph(graph: Index, queries: npt.NDArray[np.float32], count: int) -> list[Rows]:
    """Returns up to `count` rows near each query (N, D); one thread at a time.

    Several queries at once take less time than one after the other: between them nothing is thrown
    out of the caches. A row that was found lost and added again may come twice.
    """
    found = graph.search(queries, count, threads=1)
    if not isinstance(found, BatchMatches):  # a single query
        return [found.keys.astype(np.int64)]
    keys = found.keys.astype(np.int64)
    return [row[:length] for row, length in zip(keys, found.counts.tolist(), strict=True)]


def search_exactly(
    vectors: npt.NDArray[np.float16],
    query: npt.NDArray[np.float32],
    count: int,
    rows: Rows | None = None,
) -> Rows:
    """Returns the `count` rows of (N, D) with the largest inner products, by looking at all.

    Args:
        vectors: (N, D) vectors.
        query: (D,) query vector.
        count: Most rows.
        rows: Only these (M,) are looked at; None takes all.
    """
    half = query.astype(np.float16)[np.newaxis]
    if rows is None:
        return _search_block(vectors, half, count)[0]
    # Block by block: the rows are copied together, and all of them may be a gigabyte.
    found, distances = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.float32)]
    for start in range(0, len(rows), _EXACT_BLOCK):
        block = rows[start : start + _EXACT_BLOCK]
        places, block_distances = _search_block(vectors[block], half, count)
        found.append(block[places])
        distances.append(block_distances)
    order = np.argsort(np.concatenate(distances), kind="stable")[:count]
    return np.concatenate(found)[order]


def _search_block(
    vectors: npt.NDArray[np.float16], query: npt.NDArray[np.float16], count: int
) -> tuple[Rows, npt.NDArray[np.float32]]:
    found = search(vectors, query, min(count, len(vectors)), MetricKind.IP, exact=True, threads=1)
    keys = np.asarray(found.keys).astype(np.int64)
    return keys.ravel(), np.asarray(found.distances).ravel()
