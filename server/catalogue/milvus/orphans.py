"""Vectors that count no more: what batches and drops of encoders left that were cut off.

Searches pass over them, but they take memory. The collections are walked through, a page at a time,
and what is left of a product goes once it was written again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import MilvusConnection, Row, timestamp_of
from twinshelf.server.catalogue.milvus.stored import StoredRows

# A batch names its vectors within seconds. So much longer no write of Milvus stays on its way.
_LEAST_AGE_S: Final = 3600.0
_PAGE: Final = 1000
_FIELDS: Final = ("key", "product_key", "number", "version")


class Orphans:
    """Removes them; belongs to one thread."""

    def __init__(
        self, connection: MilvusConnection, collections: Collections, stored: StoredRows
    ) -> None:
        """Takes the parts."""
        self._connection = connection
        self._collections = collections
        self._stored = stored
        # What stands for an encoder, at least, and the last key that was looked at.
        self._place = (0, "")

    def remove_some(self) -> int:
        """Looks at one page of the vectors of an encoder; returns how many were removed."""
        least, last = self._place
        made_number = min((n for n in self._stored.state.digests if n >= least), default=None)
        if made_number is None:
            self._place = (0, "")
            return 0
        collection = self._collections.vectors(made_number)
        rows: list[Row] = []
        if self._connection.has_collection(collection):
            after = f'key > "{last if made_number == least else ""}"'
            rows = self._connection.query(collection, after, _FIELDS, limit=_PAGE)
        orphans = self._find(made_number, rows)
        self._connection.delete(collection, orphans)
        is_last = len(rows) < _PAGE
        self._place = (made_number + 1, "") if is_last else (made_number, rows[-1]["key"])
        return len(orphans)

    def drop_left(self) -> None:
        """Drops collections of encoders that were dropped, where the server that did it died."""
        for made_number in self._stored.state.dropped_numbers:
            if self._connection.has_collection(self._collections.vectors(made_number)):
                self._collections.forget(made_number)

    def _find(self, made_number: int, rows: Sequence[Row]) -> list[str]:
        """Returns the keys of those of some vectors that no product names, nor ever will.

        Only what was written since tells so. Rows of products are never removed, so one that is not
        there, or is older than the vectors, may be what a query node shows that has not read all.
        """
        limit = timestamp_of(time.time() - _LEAST_AGE_S)
        old = [row for row in rows if row["version"] < limit]
        products = self._stored.rows(sorted({row["product_key"] for row in old}), "Strong")
        orphans = []
        for row in old:
            if (product := products.get(row["product_key"])) is None:
                continue
            made = product.vectors.get(made_number)
            named = 0 if made is None else made.version
            is_named = (product.number, named) == (row["number"], row["version"])
            if not is_named and row["version"] < max(product.change, named):
                orphans.append(row["key"])
        return orphans
