"""Parts of a vector index: segments that no longer change, and the delta that takes new vectors.

A row is never overwritten; it dies. Each row knows the change that ended it, so that a search sees
the rows that lived when it began, whatever is written meanwhile.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.facets.facet_table import FacetTable
from twinshelf.server.catalogue.index.graph import (
    IndexConfig,
    MappedGraph,
    Rows,
    search_graph,
)
from twinshelf.server.catalogue.product_record import VectorTable, is_further

ALIVE = np.iinfo(np.int64).max
_FIRST_CAPACITY = 1024
# Searches of the delta wait for so many additions at most.
_ADD_BLOCK = 4


class Segment:
    """Vectors that no longer change.

    Attributes:
        config: Those of the index.
        table: The vectors, with all that tells them apart.
        vectors: The vectors (N, D).
        product_numbers: Their product numbers (N,).
        graph: Their graph; without one they are searched exhaustively.
        dead_since: The change (N,) that ended each row; `ALIVE` for those that live.
        dead_count: Rows that have died.
        is_stored: Whether a snapshot holds it.
        is_graph_wanted: Whether there is no graph, though there are enough vectors for one.
        facet_rows: A facet table, and the row in it of each vector (N,), once a filter has asked.
        vectors_per_product: Mean number of them, 1 or more; a product has one for each photo.
    """

    def __init__(
        self,
        table: VectorTable,
        graph: MappedGraph | None,
        config: IndexConfig,
        *,
        is_stored: bool,
    ) -> None:
        """Takes the vectors and their graph, if there is one."""
        self.config = config
        self.table = table
        self.vectors = table.vectors
        self.product_numbers = table.product_numbers
        self.graph = graph
        self.is_stored = is_stored
        self.dead_since = np.full(len(table), ALIVE, dtype=np.int64)
        self.dead_count = 0
        self.is_graph_wanted = graph is None and len(table) > config.exact_limit
        self.facet_rows: tuple[FacetTable | None, Rows] = None, np.empty(0, dtype=np.int64)
        keys = table.keys
        self.vectors_per_product = 1.0
        if is_further(table.vector_versions).any():
            self.vectors_per_product = len(table) / len(np.unique(table.product_numbers))
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    @property
    def living_count(self) -> int:
        """Rows that have not died."""
        return len(self.vectors) - self.dead_count

    def find(self, keys: npt.NDArray[np.int64]) -> Rows:
        """Returns the row (N,) of each key, -1 for one that is not here."""
        places = np.searchsorted(self._keys, keys)
        places[places == len(self._keys)] = 0
        return np.where(self._keys[places] == keys, self._order[places], -1)

    def search_graph(self, queries: npt.NDArray[np.float32], count: int) -> list[Rows] | None:
        """Returns up to `count` rows for each query (N, D) by the graph; None where is none."""
        return None if self.graph is None else self.graph.search(queries, count)


class Delta:
    """The vectors written since the last segment. One thread adds, any number search."""

    def __init__(self, dimension: int, config: IndexConfig) -> None:
        """Makes an empty one."""
        self.config = config
        self._count = 0
        self._columns = np.empty((3, _FIRST_CAPACITY), dtype=np.int64)
        self._vectors = np.empty((_FIRST_CAPACITY, dimension), dtype=np.float16)
        self._dead_since = np.full(_FIRST_CAPACITY, ALIVE, dtype=np.int64)
        self._rows: dict[int, int] = {}
        self._graph = config.new_graph(dimension)
        # The graph lends its working memory to one thread at a time.
        self._lock = threading.Lock()
        self._further_count = 0
        self.dead_count = 0
        self.is_graph_wanted = False
        self.facet_rows: tuple[FacetTable | None, Rows] = None, np.empty(0, dtype=np.int64)

    @property
    def vectors(self) -> npt.NDArray[np.float16]:
        """The vectors (N, D) that were added so far."""
        return self._vectors[: self._count]

    @property
    def product_numbers(self) -> npt.NDArray[np.int64]:
        """Their product numbers (N,)."""
        return self._columns[0, : self._count]

    @property
    def living_count(self) -> int:
        """Rows that have not died."""
        return self._count - self.dead_count

    @property
    def vectors_per_product(self) -> float:
        """Mean number of them, 1 or more; a product has one for each photo."""
        return max(1, self._count) / max(1, self._count - self._further_count)

    @property
    def table(self) -> VectorTable:
        """The vectors that were added so far, with all that tells them apart."""
        count = self._count
        numbers, versions, checksums = self._columns[:, :count]
        return VectorTable(
            product_numbers=numbers,
            vector_versions=versions,
            checksums=checksums,
            vectors=self._vectors[:count],
        )

    @property
    def dead_since(self) -> npt.NDArray[np.int64]:
        """The change (N,) that ended each row; `ALIVE` for those that live."""
        return self._dead_since[: self._count]

    def add(self, table: VectorTable) -> None:
        """Adds N vectors that were not added before."""
        first, last = self._count, self._count + len(table)
        self._reserve(last)
        for column, values in zip(
            self._columns,
            (table.product_numbers, table.vector_versions, table.checksums),
            strict=True,
        ):
            column[first:last] = values
        self._vectors[first:last] = table.vectors
        for start in range(first, last, _ADD_BLOCK):
            rows = np.arange(start, min(start + _ADD_BLOCK, last), dtype=np.uint64)
            with self._lock:
                # One thread: adding in parallel leaves vectors that no search returns.
                self._graph.add(rows, self._vectors[rows], threads=1)
        self._further_count += int(np.count_nonzero(is_further(table.vector_versions)))
        self._rows.update(zip(table.keys.tolist(), range(first, last), strict=True))
        self._count = last

    def find(self, keys: npt.NDArray[np.int64]) -> Rows:
        """Returns the row (N,) of each key, -1 for one that is not here."""
        return np.array([self._rows.get(key, -1) for key in keys.tolist()], dtype=np.int64)

    def search_graph(self, queries: npt.NDArray[np.float32], count: int) -> list[Rows] | None:
        """Returns up to `count` rows for each query (N, D); None where all are looked at."""
        if self._count <= self.config.exact_limit:
            return None
        with self._lock:
            return search_graph(self._graph, queries, count)

    def _reserve(self, count: int) -> None:
        """Makes room; searches under way keep the old arrays, in which their rows stay."""
        capacity = len(self._vectors)
        if count <= capacity:
            return
        grown = max(count, 2 * capacity)
        more = grown - capacity
        self._columns = np.pad(self._columns, ((0, 0), (0, more)))
        self._vectors = np.pad(self._vectors, ((0, more), (0, 0)))
        self._dead_since = np.pad(self._dead_since, (0, more), constant_values=ALIVE)


Part = Segment | Delta
