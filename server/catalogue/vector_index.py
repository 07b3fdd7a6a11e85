"""Nearest neighbours among the vectors of one modality pattern: a usearch index with tombstones.

Products of different patterns stand in different indexes. Within one, all vectors have the same
length and share the same modalities with a query, so that the inner product ranks exactly as the
renormalised score does; in one mixed index, products without a photo would sink below the cut.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from usearch.index import Index, Matches

VERSION_BITS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """How the graph is built and when it is built anew.

    Attributes:
        connectivity: Links of a node.
        expansion_add: Candidates that are weighed when a vector is added.
        expansion_search: Candidates that are weighed in a search.
        exact_limit: An index of at most so many vectors is searched exhaustively.
        churn_share: Rebuild when the tombstones are more than this share of the vectors...
        churn_floor: ...and more than this count.
    """

    connectivity: int = 16
    expansion_add: int = 128
    expansion_search: int = 128
    exact_limit: int = 4096
    churn_share: float = 0.25
    churn_floor: int = 1024


def vector_key(product_number: int, vector_version: int) -> int:
    """Makes the key of one version of one product's vector.

    A fresh key for each version, for a usearch index in which keys are used again loses recall; and
    one that tells the product, so that no table beside the index is needed.
    """
    return product_number << VERSION_BITS | vector_version % (1 << VERSION_BITS)


class VectorIndex:
    """Vectors of one length, found by inner product. Safe for any number of threads."""

    def __init__(self, dimension: int, settings: IndexSettings) -> None:
        """Makes an empty index."""
        self._settings = settings
        self._dimension = dimension
        # Keys are never looked up or removed, so usearch need not keep a table of them.
        self._index = Index(
            ndim=dimension,
            metric="ip",
            dtype="f16",
            connectivity=settings.connectivity,
            expansion_add=settings.expansion_add,
            expansion_search=settings.expansion_search,
            enable_key_lookups=False,
        )
        self._tombstones: set[int] = set()
        # Each call of the binding takes the thread slots from 0 up: two at once would share them.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Counts the vectors that a search can return."""
        return len(self._index) - len(self._tombstones)

    def add(self, keys: npt.NDArray[np.int64], vectors: npt.NDArray[np.float16]) -> None:
        """Adds N vectors under fresh keys.

        Args:
            keys: (N,) keys, none of which was added before.
            vectors: (N, D) vectors.

        Raises:
            ValueError: If a vector is not finite, or the shapes disagree.
        """
        if vectors.shape != (len(keys), self._dimension):
            raise ValueError(
                f"vectors must be ({len(keys)}, {self._dimension}), got {vectors.shape}"
            )
        if not np.isfinite(vectors).all():
            raise ValueError("vectors must be finite")
        with self._lock:
            # One thread: adding in parallel leaves vectors that no search returns.
            self._index.add(keys.astype(np.uint64), vectors, threads=1)

    def retire(self, key: int) -> None:
        """Hides a vector that was added."""
        with self._lock:
            self._tombstones.add(key)

    @property
    def needs_rebuild(self) -> bool:
        """Whether tombstones have become too many."""
        dead = len(self._tombstones)
        return dead > max(self._settings.churn_floor, self._settings.churn_share * len(self._index))

    def search(self, query: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.int64]:
        """Returns up to `count` product numbers, best first.

        Args:
            query: (D,) query vector.
            count: How many to return at most.
        """
        with self._lock:
            total, dead = len(self._index), len(self._tombstones)
            wanted = min(count, total - dead)
            if wanted == 0:
                return np.empty(0, dtype=np.int64)
            # Tombstones may lie thick around the query; looking further down always ends the loop.
            fetch_count, furthest = min(total, count), min(total, count + dead)
            while True:
                keys = self._nearest(query, fetch_count)
                alive = [key for key in keys if key not in self._tombstones]
                if len(alive) >= wanted or fetch_count >= furthest:
                    break
                fetch_count = min(furthest, 2 * fetch_count)
        return np.array(alive[:count], dtype=np.int64) >> VERSION_BITS

    def _nearest(self, query: npt.NDArray[np.float32], count: int) -> list[int]:
        matches = self._index.search(
            query[np.newaxis],
            count,
            threads=1,
            exact=len(self._index) <= self._settings.exact_limit,
        )
        # A batch of one comes back as this type, and without the padding of larger ones.
        assert isinstance(matches, Matches)
        keys: list[int] = matches.keys.astype(np.int64).tolist()
        return keys
