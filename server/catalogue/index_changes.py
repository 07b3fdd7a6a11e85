"""What a batch of writes means for the counts and for the search index."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from twinshelf.server.catalogue.index import CatalogueIndex
from twinshelf.server.catalogue.product_record import (
    Deleted,
    NewProduct,
    Stored,
    VectorTable,
    vector_keys,
)
from twinshelf.server.encoders.modalities import Pattern

_Version = tuple[int, int]


class IndexChanges:
    """Gathers the vectors that a batch of writes brings and ends."""

    def __init__(self, digest: str) -> None:
        """Takes the digest of the encoder whose vectors are indexed."""
        self._digest = digest
        self._added: dict[Pattern, dict[_Version, tuple[NewProduct, int]]] = defaultdict(dict)
        self._retired: dict[Pattern, list[_Version]] = defaultdict(list)

    def note(self, item: object, result: object, counts: Counter[tuple[str, Pattern]]) -> None:
        """Notes one write and what came of it, and counts the products that it changed."""
        if isinstance(result, Deleted):
            for number, version, digest, pattern in result.removed:
                counts[digest, pattern] -= 1
                self._retire(digest, pattern, (number, version))
        elif isinstance(result, Stored) and isinstance(item, NewProduct):
            if result.old is not None:
                counts[result.old] -= 1
            counts[item.digest, item.pattern] += 1
            if result.vector_changed:
                self._replace(item, result)

    def apply(self, index: CatalogueIndex) -> None:
        """Lets the index learn of all of it."""
        added = {pattern: _table(rows) for pattern, rows in self._added.items() if rows}
        retired = {
            pattern: vector_keys(*np.array(versions, dtype=np.int64).T)
            for pattern, versions in self._retired.items()
        }
        if added or retired:
            index.change(added, retired)

    def _replace(self, item: NewProduct, result: Stored) -> None:
        number, version = result.product_number, result.vector_version
        if result.old is not None:
            self._retire(*result.old, (number, version - 1))
        if item.digest == self._digest:
            self._added[item.pattern][number, version] = (item, result.checksum)

    def _retire(self, digest: str, pattern: Pattern, version: _Version) -> None:
        if digest != self._digest:
            return
        # One that came with the same batch was never indexed.
        if self._added[pattern].pop(version, None) is None:
            self._retired[pattern].append(version)


def _table(rows: dict[_Version, tuple[NewProduct, int]]) -> VectorTable:
    numbers, versions = np.array(list(rows), dtype=np.int64).T
    return VectorTable(
        product_numbers=numbers,
        vector_versions=versions,
        checksums=np.array([checksum for _, checksum in rows.values()], dtype=np.int64),
        vectors=np.stack([item.vector for item, _ in rows.values()]),
    )
