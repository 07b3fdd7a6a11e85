"""What a batch of writes means for the counts and for the search index."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.product_record import (
    Deleted,
    NewProduct,
    Stored,
    VectorTable,
    vector_keys,
)
from twinshelf.server.encoders.modalities import Pattern

# An item that was to be written, and what came of it.
Write = tuple[object, object]
_Version = tuple[int, int]
_Learn = Callable[[dict[Pattern, VectorTable], dict[Pattern, npt.NDArray[np.int64]]], None]


def count_writes(writes: Sequence[Write], counts: Counter[tuple[str, Pattern]]) -> None:
    """Counts the products by digest and pattern that a batch of writes changed."""
    for item, result in writes:
        if isinstance(result, Deleted):
            counts.subtract((digest, pattern) for _, _, digest, pattern in result.removed)
        elif isinstance(result, Stored) and isinstance(item, NewProduct):
            if result.old is not None:
                counts[result.old] -= 1
            counts[item.digest, item.pattern] += 1


class IndexChanges:
    """The vectors of one encoder that a batch of writes brings and ends."""

    def __init__(self, digest: str, writes: Sequence[Write]) -> None:
        """Gathers them.

        Args:
            digest: Digest of the encoder.
            writes: The batch.
        """
        self._digest = digest
        self._added: dict[Pattern, dict[_Version, tuple[NewProduct, int]]] = defaultdict(dict)
        self._retired: dict[Pattern, list[_Version]] = defaultdict(list)
        for item, result in writes:
            if isinstance(result, Deleted):
                for number, version, old_digest, pattern in result.removed:
                    self._retire(old_digest, pattern, (number, version))
            elif isinstance(result, Stored) and isinstance(item, NewProduct):
                if result.vector_changed:
                    self._replace(item, result)

    def apply(self, learn: _Learn) -> None:
        """Hands the vectors and the keys to a method of an index, if there are any."""
        added = {pattern: _table(rows) for pattern, rows in self._added.items() if rows}
        retired = {
            pattern: vector_keys(*np.array(versions, dtype=np.int64).T)
            for pattern, versions in self._retired.items()
        }
        if added or retired:
            learn(added, retired)

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
