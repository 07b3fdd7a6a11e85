"""Each library of nearest neighbours as the comparison calls it: build, search with an effort."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from usearch.index import Index, MetricKind

from twinshelf.server.catalogue.index.graph import IndexConfig, MappedGraph
from twinshelf.server.catalogue.index.graph_build import GraphPlan, build_graph
from twinshelf.server.catalogue.index.snapshot_file import map_vectors
from twinshelf.server.catalogue.ranking import LEAST_CANDIDATES
from twinshelf.server.encoders.embedding import widen

Floats = npt.NDArray[np.float32]
CONFIG = IndexConfig()
GRAPH_EFFORTS = (16, 32, 48, 64, 96, 128, 192, 256, 512)
TREE_COUNT = 50
TREE_EFFORTS = (500, 2_000, 8_000, 32_000, 128_000)


class Library(Protocol):
    """A way to find the vectors with the largest inner products.

    Attributes:
        efforts: What is tried, rising: candidates of a graph, nodes of trees.
    """

    efforts: tuple[int, ...]

    def build(self, vectors: Floats, folder: Path) -> int:
        """Indexes vectors (N, D); returns the bytes that a search needs in memory."""

    def set_effort(self, effort: int) -> None:
        """Sets how thoroughly is searched from now on."""

    def search(self, query: Floats, count: int) -> npt.NDArray[np.int64]:
        """Returns `count` rows for a query (D,), with one thread."""


class OurIndex:
    """The graph of the catalogue, built, mapped and rescored as the service does it."""

    efforts: tuple[int, ...] = GRAPH_EFFORTS

    def build(self, vectors: Floats, folder: Path) -> int:
        """Writes vectors and graph to files, and maps both."""
        file, self._target = folder / "vectors", folder / "graph"
        vectors.astype(np.float16).tofile(file)
        self._dimension = vectors.shape[1]
        build_graph(
            GraphPlan(
                vectors=file,
                dimension=self._dimension,
                target=self._target,
                base=None,
                base_count=0,
                config=CONFIG,
            ),
            threading.Event(),
        )
        self._vectors = map_vectors(file, self._dimension)
        return file.stat().st_size + self._target.stat().st_size

    def set_effort(self, effort: int) -> None:
        """Maps the graph anew."""
        config = replace(CONFIG, expansion_search=effort, slot_count=1)
        self._graph = MappedGraph(self._target, self._dimension, config)
        self._candidate_count = min(LEAST_CANDIDATES, effort)

    def search(self, query: Floats, count: int) -> npt.NDArray[np.int64]:
        """Takes candidates from the graph and scores them exactly."""
        (rows,) = self._graph.search(query[np.newaxis], self._candidate_count)
        return _best(self._vectors, rows, query, count)


class Usearch:
    """usearch with another number format, rescored from fp16 where it is 8 bits."""

    efforts: tuple[int, ...] = GRAPH_EFFORTS

    def __init__(self, dtype: str) -> None:
        """Takes usearch's name of the format."""
        self._dtype = dtype

    def build(self, vectors: Floats, folder: Path) -> int:
        """Builds with all cores."""
        # Its stub takes the expansion for read-only.
        self._graph: Any = Index(
            ndim=vectors.shape[1],
            # It knows 8 bits for cosines alone; of unit vectors these are the inner products.
            metric=MetricKind.Cos if self._dtype == "i8" else MetricKind.IP,
            dtype=self._dtype,
            connectivity=CONFIG.connectivity,
            expansion_add=CONFIG.expansion_add,
            enable_key_lookups=False,
        )
        keys = np.arange(len(vectors), dtype=np.uint64)
        self._graph.add(keys, vectors, threads=CONFIG.build_thread_count)
        self._vectors = vectors.astype(np.float16) if self._dtype == "i8" else None
        rescored = 0 if self._vectors is None else self._vectors.nbytes
        return int(self._graph.serialized_length) + rescored

    def set_effort(self, effort: int) -> None:
        """Sets the candidates."""
        self._graph.expansion_search = effort
        self._candidate_count = min(LEAST_CANDIDATES, effort)

    def search(self, query: Floats, count: int) -> npt.NDArray[np.int64]:
        """Searches, and rescores 8 bits."""
        wanted = count if self._vectors is None else self._candidate_count
        found = self._graph.search(query, wanted, threads=1)
        rows = np.asarray(found.keys).astype(np.int64)
        return rows if self._vectors is None else _best(self._vectors, rows, query, count)


class Hnswlib:
    """hnswlib, inner products in fp32."""

    efforts: tuple[int, ...] = GRAPH_EFFORTS

    def build(self, vectors: Floats, folder: Path) -> int:
        """Builds with all cores; the size is that of its file."""
        # Here and below: `make bench` alone installs the other libraries.
        import hnswlib

        self._index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        self._index.init_index(
            len(vectors), ef_construction=CONFIG.expansion_add, M=CONFIG.connectivity
        )
        self._index.set_num_threads(CONFIG.build_thread_count)
        self._index.add_items(vectors)
        self._index.set_num_threads(1)
        return int(self._index.index_file_size())

    def set_effort(self, effort: int) -> None:
        """Sets the candidates."""
        self._index.set_ef(effort)

    def search(self, query: Floats, count: int) -> npt.NDArray[np.int64]:
        """Searches."""
        rows, _ = self._index.knn_query(query, count)
        return np.asarray(rows[0], dtype=np.int64)


class Faiss:
    """faiss-cpu: its HNSW graph, or the exact search of all vectors."""

    def __init__(self, *, is_flat: bool) -> None:
        """Chooses between the two."""
        self._is_flat = is_flat
        self.efforts: tuple[int, ...] = (1,) if is_flat else GRAPH_EFFORTS
        self._index: Any = None

    def build(self, vectors: Floats, folder: Path) -> int:
        """Builds with all cores; the size is that of its file."""
        import faiss

        dimension = vectors.shape[1]
        faiss.omp_set_num_threads(CONFIG.build_thread_count)
        if self._is_flat:
            self._index = faiss.IndexFlatIP(dimension)
        else:
            self._index = faiss.IndexHNSWFlat(
                dimension, CONFIG.connectivity, faiss.METRIC_INNER_PRODUCT
            )
            self._index.hnsw.efConstruction = CONFIG.expansion_add
        self._index.add(vectors)
        faiss.omp_set_num_threads(1)
        file = folder / "faiss"
        faiss.write_index(self._index, str(file))
        return file.stat().st_size

    def set_effort(self, effort: int) -> None:
        """Sets the candidates."""
        if not self._is_flat:
            self._index.hnsw.efSearch = effort

    def search(self, query: Floats, count: int) -> npt.NDArray[np.int64]:
        """Searches."""
        _, rows = self._index.search(query[np.newaxis], count)
        return np.asarray(rows[0], dtype=np.int64)


class Annoy:
    """annoy, a forest by angles."""

    efforts: tuple[int, ...] = TREE_EFFORTS

    def build(self, vectors: Floats, folder: Path) -> int:
        """Builds with all cores; the size is that of its file."""
        import annoy

        self._index = annoy.AnnoyIndex(vectors.shape[1], "angular")
        self._index.set_seed(0)
        for row, vector in enumerate(vectors):
            self._index.add_item(row, vector)
        self._index.build(TREE_COUNT, n_jobs=CONFIG.build_thread_count)
        file = folder / "annoy"
        self._index.save(str(file))
        return file.stat().st_size

    def set_effort(self, effort: int) -> None:
        """Sets the nodes."""
        self._effort = effort

    def search(self, query: Floats, count: int) -> npt.NDArray[np.int64]:
        """Searches."""
        found = self._index.get_nns_by_vector(query, count, search_k=self._effort)
        return np.array(found, dtype=np.int64)


def make_libraries() -> dict[str, Library]:
    """Makes one of each, ours first."""
    return {
        "ours: usearch bf16, rescored": OurIndex(),
        "usearch f32": Usearch("f32"),
        "usearch f16": Usearch("f16"),
        "usearch i8, rescored": Usearch("i8"),
        "hnswlib": Hnswlib(),
        "faiss HNSW": Faiss(is_flat=False),
        "faiss flat": Faiss(is_flat=True),
        "annoy": Annoy(),
    }


def _best(
    vectors: npt.NDArray[np.float16], rows: npt.NDArray[np.int64], query: Floats, count: int
) -> npt.NDArray[np.int64]:
    scores = widen(vectors[rows]) @ query
    best: npt.NDArray[np.int64] = rows[np.argsort(-scores)[:count]]
    return best
