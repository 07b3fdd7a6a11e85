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
    StoredVectors,
    VectorTable,
    photo_version,
    vector_keys,
)
from twinshelf.server.encoders.modalities import Pattern

# An item that was to be written, and what came of it.
Write = tuple[object, object]
# Number of the product, and what `photo_version` gives.
_Version = tuple[int, int]
# A vector and its checksum.
_Row = tuple[npt.NDArray[np.float16], int]
_Learn = Callable[[dict[Pattern, VectorTable], dict[Pattern, npt.NDArray[np.int64]]], None]


def count_writes(writes: Sequence[Write], counts: Counter[tuple[str, Pattern]]) -> int:
    """Counts what a batch of writes changed.

    Args:
        writes: The batch.
        counts: Products by digest and pattern, which are brought up to date.

    Returns:
        Photos after the first that products have gained; below zero if they have lost some.
    """
    gained_count = 0
    for item, result in writes:
        ended: Sequence[StoredVectors] = ()
        if isinstance(result, Deleted):
            ended = result.removed
        elif isinstance(result, Stored) and isinstance(item, NewProduct):
            counts[item.digest, item.pattern] += 1
            gained_count += len(item.further_images)
            if result.old is not None:
                ended = (result.old,)
        for each in ended:
            counts[each.digest, each.pattern] -= 1
            gained_count -= each.further_count
    return gained_count


class IndexChanges:
    """The vectors of one encoder that a batch of writes brings and ends."""

    def __init__(self, digest: str, writes: Sequence[Write]) -> None:
        """Gathers them.

        Args:
            digest: Digest of the encoder.
            writes: The batch.
        """
        self._digest = digest
        self._added: dict[Pattern, dict[_Version, _Row]] = defaultdict(dict)
        self._retired: dict[Pattern, list[_Version]] = defaultdict(list)
        for item, result in writes:
            if isinstance(result, Deleted):
                for ended in result.removed:
                    self._retire(ended)
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
        if result.old is not None:
            self._retire(result.old)
        if item.digest == self._digest:
            added = self._added[item.pattern]
            rows = zip(item.vectors, result.checksums, strict=True)
            for photo, row in enumerate(rows):
                version = photo_version(photo, result.vector_version)
                added[result.product_number, version] = row

    def _retire(self, ended: StoredVectors) -> None:
        if ended.digest != self._digest:
            return
        for photo in range(1 + ended.further_count):
            version = (ended.product_number, photo_version(photo, ended.vector_version))
            # One that came with the same batch was never indexed.
            if self._added[ended.pattern].pop(version, None) is None:
                self._retired[ended.pattern].append(version)


def _table(rows: dict[_Version, _Row]) -> VectorTable:
    numbers, versions = np.array(list(rows), dtype=np.int64).T
    return VectorTable(
        product_numbers=numbers,
        vector_versions=versions,
        checksums=np.array([checksum for _, checksum in rows.values()], dtype=np.int64),
        vectors=np.stack([vector for vector, _ in rows.values()]),
    )
