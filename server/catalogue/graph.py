"""The HNSW graph over the vectors of a segment: built, saved, mapped, and searched by threads."""

from __future__ import annotations

import os
import queue
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from usearch.index import BatchMatches, Index, MetricKind, search

Rows = npt.NDArray[np.int64]
DTYPE = "bf16"
_BUILD_BLOCK = 1024
_SELF_SEARCH_COUNT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """How vectors are indexed, and when they are indexed anew.

    Attributes:
        connectivity: Links of a node.
        expansion_add: Candidates that are weighed when a vector is added.
        expansion_search: Candidates that are weighed in a search.
        exact_limit: So many vectors, or fewer, are searched exhaustively.
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
    churn_share: float = 0.25
    churn_floor: int = 1024
    merge_share: float = 0.1
    merge_floor: int = 16_384
    slot_count: int = 4
    build_thread_count: int = os.cpu_count() or 1

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

    def __init__(self, path: Path, dimension: int, settings: IndexSettings) -> None:
        """Maps the file, which must be whole: what is torn would end the process."""
        self.path = path
        self._slots: queue.SimpleQueue[Index] = queue.SimpleQueue()
        for _ in range(settings.slot_count):
            slot = settings.new_graph(dimension)
            slot.view(path)
            self._slots.put(slot)

    def search(self, query: npt.NDArray[np.float32], count: int) -> Rows:
        """Returns up to `count` rows near a query (D,); waits while all slots are in use."""
        slot = self._slots.get()
        try:
            return search_graph(slot, query, count)
        finally:
            self._slots.put(slot)


def search_graph(graph: Index, query: npt.NDArray[np.float32], count: int) -> Rows:
    """Returns up to `count` rows near a query (D,); one thread at a time.

    A row that was found lost and added again may come twice.
    """
    return graph.search(query, count, threads=1).keys.astype(np.int64)


def search_exactly(
    vectors: npt.NDArray[np.float16], query: npt.NDArray[np.float32], count: int
) -> Rows:
    """Returns the `count` rows of (N, D) with the largest inner products, by looking at all."""
    half = query.astype(np.float16)[np.newaxis]
    found = search(vectors, half, min(count, len(vectors)), MetricKind.IP, exact=True, threads=1)
    return np.asarray(found.keys).astype(np.int64).ravel()


def build_graph(
    vectors: npt.NDArray[np.float16], settings: IndexSettings, base: MappedGraph | None, start: int
) -> Index:
    """Builds the graph of N vectors, all threads at work.

    Args:
        vectors: (N, D) vectors; their rows become the keys.
        settings: How to build.
        base: Graph of the first `start` vectors, which is copied; None builds all.
        start: How many vectors `base` holds, else 0.
    """
    graph = settings.new_graph(vectors.shape[1])
    if base is not None:
        graph.load(base.path)
    for first in range(start, len(vectors), _BUILD_BLOCK):
        block = vectors[first : first + _BUILD_BLOCK]
        keys = np.arange(first, first + len(block), dtype=np.uint64)
        graph.add(keys, block, threads=settings.build_thread_count)
    _add_lost(graph, vectors, settings, start)
    return graph


def _add_lost(
    graph: Index, vectors: npt.NDArray[np.float16], settings: IndexSettings, start: int
) -> None:
    """Adds again, one by one, what no search returns: adding in parallel loses some nodes."""
    for first in range(start, len(vectors), _BUILD_BLOCK):
        block = vectors[first : first + _BUILD_BLOCK]
        count = min(_SELF_SEARCH_COUNT, len(vectors))
        found = graph.search(block, count, threads=settings.build_thread_count)
        if not isinstance(found, BatchMatches):  # a block of one row
            continue
        keys = np.arange(first, first + len(block), dtype=np.uint64)
        is_lost = ~(found.keys == keys[:, np.newaxis]).any(axis=1)
        # Of many equal vectors only some are returned; these are not lost.
        is_lost &= found.distances[:, -1] > found.distances[:, 0]
        if is_lost.any():
            graph.add(keys[is_lost], block[is_lost], threads=1)
