"""What a batch of writes means for the counts and for the search index."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.product_record import (
    Deleted,
    Dropped,
    Stored,
    VectorChange,
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


def count_writes(
    writes: Sequence[Write], counts: Counter[tuple[str, Pattern]], further_counts: Counter[str]
) -> None:
    """Counts what a batch of writes changed.

    Args:
        writes: The batch.
        counts: Products by digest and pattern, which are brought up to date.
        further_counts: Their photos after the first by digest, which are, too.
    """
    for change in _changes(writes):
        for state, sign in ((change.old, -1), (change.new, 1)):
            if state is not None:
                counts[change.digest, state.pattern] += sign
                further_counts[change.digest] += sign * state.further_count


class IndexChanges:
    """The vectors of one encoder that a batch of writes brings and ends."""

    def __init__(self, digest: str, writes: Sequence[Write]) -> None:
        """Gathers them.

        Args:
            digest: Digest of the encoder.
            writes: The batch.
        """
        self._added: dict[Pattern, dict[_Version, _Row]] = defaultdict(dict)
        self._retired: dict[Pattern, list[_Version]] = defaultdict(list)
        for change in _changes(writes):
            if change.digest == digest:
                self._retire(change)
                self._add(change)

    def apply(self, learn: _Learn) -> None:
        """Hands the vectors and the keys to a method of an index, if there are any."""
        added = {pattern: _table(rows) for pattern, rows in self._added.items() if rows}
        retired = {
            pattern: vector_keys(*np.array(versions, dtype=np.int64).T)
            for pattern, versions in self._retired.items()
        }
        if added or retired:
            learn(added, retired)

    def _retire(self, change: VectorChange) -> None:
        if change.old is None:
            return
        pattern = change.old.pattern
        for photo in range(1 + change.old.further_count):
            version = (change.product_number, photo_version(photo, change.old.version))
            # One that came with the same batch was never indexed.
            if self._added[pattern].pop(version, None) is None:
                self._retired[pattern].append(version)

    def _add(self, change: VectorChange) -> None:
        if change.new is None:
            return
        added = self._added[change.new.pattern]
        for photo, row in enumerate(zip(change.rows, change.checksums, strict=True)):
            added[change.product_number, photo_version(photo, change.new.version)] = row


def _changes(writes: Sequence[Write]) -> Iterator[VectorChange]:
    for _, result in writes:
        if isinstance(result, Stored | Deleted | Dropped):
            yield from result.changes


def _table(rows: dict[_Version, _Row]) -> VectorTable:
    numbers, versions = np.array(list(rows), dtype=np.int64).T
    return VectorTable(
        product_numbers=numbers,
        vector_versions=versions,
        checksums=np.array([checksum for _, checksum in rows.values()], dtype=np.int64),
        vectors=np.stack([vector for vector, _ in rows.values()]),
    )
