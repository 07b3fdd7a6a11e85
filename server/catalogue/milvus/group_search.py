"""Vectors near others, of the products as they stand, for the neighbours of groups."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.index.catalogue_index import PatternFound
from twinshelf.server.catalogue.index.vector_index import Found
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import MOST_ROWS, MilvusConnection, Row
from twinshelf.server.catalogue.milvus.stored import PATTERNS, StoredRows
from twinshelf.server.encoders.modalities import Pattern

_FIELDS = ("product_key", "number", "version", "vector")
# Some may be of a batch that is under way, or was cut off.
_READ_PER_WANTED = 2


class NearestVectors:
    """Searches what one encoder embedded, as it stands now: for one batch of products.

    Attributes:
        product_ids: Identifiers of the products that were found, by number.
    """

    def __init__(
        self,
        connection: MilvusConnection,
        collections: Collections,
        stored: StoredRows,
        made_number: int,
    ) -> None:
        """Takes the parts, and what stands for the vectors of the encoder."""
        self.product_ids: dict[int, str] = {}
        self._connection = connection
        self._collections = collections
        self._stored = stored
        self._made_number = made_number
        # Number and named version of products that were read.
        self._named: dict[str, tuple[int, int] | None] = {}

    def search(
        self, vectors: npt.NDArray[np.float32], wanted: Pattern, count: int
    ) -> list[list[PatternFound]]:
        """Returns near ones of first photos, of each pattern that has all wanted modalities."""
        found: list[list[PatternFound]] = [[] for _ in vectors]
        limit = min(_READ_PER_WANTED * count, MOST_ROWS)
        for pattern in PATTERNS:
            if pattern & wanted != wanted:
                continue
            results = self._connection.search(
                self._collections.vectors(self._made_number),
                vectors.tolist(),
                f"pattern == {pattern:d} and photo == 0",
                _FIELDS,
                limit=limit,
                params=self._collections.search_params(limit, is_filtered=False),
                level="Strong",
            )
            self._read_names(results)
            for parts, rows in zip(found, results, strict=True):
                # What no product names is of a batch that is under way, or was cut off.
                if named := [row for row in rows if self._is_named(row)]:
                    parts.append(PatternFound(pattern=pattern, found=self._found(named)))
        return found

    def _read_names(self, results: list[list[Row]]) -> None:
        keys = {row["product_key"] for rows in results for row in rows} - self._named.keys()
        products = self._stored.rows(sorted(keys)) if keys else {}
        for key in keys:
            product = products.get(key)
            made = None if product is None else product.vectors.get(self._made_number)
            self._named[key] = None
            if product is not None and made is not None:
                self._named[key] = (product.number, made.version)
                self.product_ids[product.number] = product.record.product_id

    def _is_named(self, row: Row) -> bool:
        return self._named[row["product_key"]] == (row["number"], row["version"])

    def _found(self, rows: list[Row]) -> Found:
        return Found(
            product_numbers=np.array([row["number"] for row in rows], dtype=np.int64),
            vectors=self._collections.from_vectors([row["vector"] for row in rows]),
            is_exact=False,
        )
