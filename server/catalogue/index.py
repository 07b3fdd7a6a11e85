"""The search index over the whole catalogue: one vector index for each modality pattern.

A cache in memory: everything in it can be built again from the product store.
"""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from server.catalogue.product_store import ProductStore
from server.catalogue.vector_index import VERSION_BITS, IndexSettings, VectorIndex, vector_key
from server.encoders.contract import EncoderContract
from server.encoders.modalities import Pattern

logger = logging.getLogger(__name__)
PATTERNS = (Pattern.IMAGE, Pattern.TEXT, Pattern.BOTH)
BLOCK_SIZE = 4096


class CatalogueIndex:
    """Vectors of the products that one encoder embedded. One thread changes it, many search it."""

    def __init__(self, contract: EncoderContract, settings: IndexSettings) -> None:
        """Makes an empty index for the embeddings of an encoder."""
        self.digest = contract.digest
        self._dimension = contract.dimension
        self._settings = settings
        self._indexes = {p: VectorIndex(self._dimension, settings) for p in PATTERNS}

    @classmethod
    def build(
        cls, store: ProductStore, contract: EncoderContract, settings: IndexSettings
    ) -> CatalogueIndex:
        """Builds the index from the product store."""
        index = cls(contract, settings)
        for pattern in PATTERNS:
            index._rebuild(store, pattern)
        return index

    def __len__(self) -> int:
        """Counts the vectors that a search can return."""
        return sum(len(index) for index in self._indexes.values())

    def add(
        self, pattern: Pattern, number: int, version: int, vector: npt.NDArray[np.float16]
    ) -> None:
        """Adds one version of a product's vector."""
        keys = np.array([vector_key(number, version)], dtype=np.int64)
        self._indexes[pattern].add(keys, vector[np.newaxis])

    def retire(self, pattern: Pattern, number: int, version: int) -> None:
        """Hides one version of a product's vector."""
        self._indexes[pattern].retire(vector_key(number, version))

    def search(
        self, query: npt.NDArray[np.float32], pattern: Pattern, count: int
    ) -> npt.NDArray[np.int64]:
        """Returns the numbers of up to `count` products of each pattern that shares a modality.

        Args:
            query: (D,) query vector.
            pattern: Modalities that count in the query.
            count: Most products of each pattern.
        """
        found = [
            index.search(query, count)
            for indexed, index in self._indexes.items()
            if indexed & pattern
        ]
        return np.unique(np.concatenate(found))

    def rebuild_churned(self, store: ProductStore) -> None:
        """Builds anew what holds too many tombstones; searches go on meanwhile."""
        for pattern, index in self._indexes.items():
            if index.needs_rebuild:
                self._rebuild(store, pattern)

    def _rebuild(self, store: ProductStore, pattern: Pattern) -> None:
        index = VectorIndex(self._dimension, self._settings)
        for block in store.vectors(self.digest, pattern, self._dimension, BLOCK_SIZE):
            keys = block.product_numbers << VERSION_BITS
            index.add(keys | block.vector_versions % (1 << VERSION_BITS), block.vectors)
        self._indexes[pattern] = index
        logger.info("indexed %d products with the pattern %s", len(index), pattern.key)
