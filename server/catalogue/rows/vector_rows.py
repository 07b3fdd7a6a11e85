"""The vectors of products in the SQLite file: which encoders have embedded a product, and as what.

One vector of each product stands in `product_vectors`, those of further encoders in
`vectors_beside`. Further photos stay where they are when a vector moves. One thread writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from twinshelf.server.catalogue.product_record import (
    VERSION_BITS,
    Dropped,
    ProductVector,
    VectorChange,
    VectorState,
)
from twinshelf.server.catalogue.rows.photo_rows import add_photos, has_photos, remove_photos
from twinshelf.server.catalogue.rows.schema import vector_checksum
from twinshelf.server.catalogue.rows.stored_rows import (
    FURTHER_COUNT,
    VECTOR_TABLES,
    stored_pattern,
)
from twinshelf.server.encoders.modalities import Pattern

_COLUMNS = "product_number, encoder_number, pattern, vector_version, vector, checksum"
_VALUES = "(?, ?, ?, ?, ?, ?)"
_INTO_BESIDE = f"INSERT OR REPLACE INTO vectors_beside ({_COLUMNS})"
_INTO_MAIN = f"INSERT INTO product_vectors ({_COLUMNS})"
_STATE = f"v.product_number, v.pattern, v.vector_version, {FURTHER_COUNT}"
_SET_MAIN = (
    "UPDATE product_vectors SET (encoder_number, pattern, vector_version, vector, checksum) ="
)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of either table."""

    pattern_number: int
    version: int
    blob: bytes
    checksum: int
    is_beside: bool
    is_kept: bool
    further_count: int

    @property
    def pattern(self) -> Pattern:
        """Modalities that are embedded, as far as they are whole."""
        return stored_pattern(self.pattern_number)

    @property
    def old(self) -> VectorState | None:
        """What ends with it; nothing where the encoder has not embedded the product."""
        if self.is_beside and not self.pattern_number:
            return None
        return VectorState(
            pattern=self.pattern, version=self.version, further_count=self.further_count
        )


class _Table(Enum):
    """Where a vector is written to."""

    MAIN = "in the place of the one in product_vectors"
    NEW_MAIN = "to product_vectors, for a new product"
    BESIDE = "to vectors_beside"


class VectorRows:
    """Writes vectors; every method needs a transaction."""

    def __init__(self, writer: sqlite3.Connection) -> None:
        """Takes the writing connection."""
        self._writer = writer

    def replace(
        self,
        number: int,
        vectors: Sequence[ProductVector],
        *,
        is_new: bool = False,
        keeps_others: bool = False,
    ) -> tuple[VectorChange, ...]:
        """Puts vectors in the place of those that a product has.

        Args:
            number: Internal number of the product.
            vectors: One or more, each of another encoder.
            is_new: Whether the product has none.
            keeps_others: Whether those of encoders that have none here stay.
        """
        rows = {} if is_new else self._rows(number)
        digests = [made.digest for made in vectors]
        main = next((digest for digest, row in rows.items() if not row.is_beside), None)
        if main is None or not (keeps_others or main in digests):
            main = digests[0]
        version = _next_version({row.version for row in rows.values()})
        changes = [
            self._write(
                number,
                made,
                version,
                rows.pop(made.digest, None),
                table=_Table.BESIDE
                if made.digest != main
                else _Table.NEW_MAIN
                if is_new
                else _Table.MAIN,
            )
            for made in vectors
        ]
        if not keeps_others:
            changes += [
                self._end(number, digest, row, version=version) for digest, row in rows.items()
            ]
        return tuple(change for change in changes if change is not None)

    def add(self, number: int, made: ProductVector) -> tuple[VectorChange, ...]:
        """Writes the vector of one more encoder, or one in the place of its last."""
        return self.replace(number, (made,), keeps_others=True)

    def end_all(self, number: int) -> tuple[VectorChange, ...]:
        """Returns what ends when a product is removed."""
        return tuple(
            VectorChange(product_number=number, digest=digest, old=row.old)
            for digest, row in self._rows(number).items()
            if row.old is not None
        )

    def drop_some(self, digest: str, current: str, count: int) -> Dropped:
        """Removes some vectors of an encoder.

        Args:
            digest: Digest of the encoder.
            current: Digest of one that has embedded every product.
            count: Most vectors of either table.
        """
        number, other = self.encoder_number(digest), self.encoder_number(current)
        beside = self._writer.execute(
            f"SELECT {_STATE} FROM vectors_beside v WHERE encoder_number = ? LIMIT ?",
            (number, count),
        ).fetchall()
        for product, *_ in beside:
            self._remove_beside(product, number)
            remove_photos(self._writer, product, number)
        main = self._writer.execute(
            f"SELECT {_STATE} FROM product_vectors v WHERE encoder_number = ? AND EXISTS ("
            "SELECT 1 FROM vectors_beside b WHERE b.product_number = v.product_number "
            "AND b.encoder_number = ? AND b.pattern > 0) LIMIT ?",
            (number, other, count),
        ).fetchall()
        for product, *_ in main:
            self._writer.execute(
                f"{_SET_MAIN} (SELECT encoder_number, pattern, vector_version, vector, checksum "
                "FROM vectors_beside WHERE product_number = :product AND encoder_number = :other) "
                "WHERE product_number = :product",
                {"product": product, "other": other},
            )
            self._remove_beside(product, other)
            remove_photos(self._writer, product, number)
        ended = [row for row in beside if row[1]] + main
        return Dropped(row_count=len(beside + main), changes=tuple(_ended(digest, ended)))

    def encoder_number(self, digest: str) -> int:
        """Returns the number that stands for a digest in the file."""
        self._writer.execute("INSERT OR IGNORE INTO encoders (digest) VALUES (?)", (digest,))
        row = self._writer.execute(
            "SELECT encoder_number FROM encoders WHERE digest = ?", (digest,)
        ).fetchone()
        return int(row[0])

    def _rows(self, number: int) -> dict[str, _Row]:
        rows = self._writer.execute(
            " UNION ALL ".join(
                f"SELECT e.digest, v.pattern, v.vector_version, v.vector, v.checksum, {place}, "
                f"e.is_kept, {FURTHER_COUNT} "
                f"FROM {table} v JOIN encoders e USING (encoder_number) "
                "WHERE v.product_number = :number"
                for place, table in enumerate(VECTOR_TABLES)
            ),
            {"number": number},
        )
        return {
            # No vector of a damaged version is in the index.
            digest: _Row(pattern, version if isinstance(version, int) else 0, *row)
            for digest, pattern, version, *row in rows
        }

    def _write(
        self, number: int, made: ProductVector, version: int, row: _Row | None, table: _Table
    ) -> VectorChange | None:
        """Writes a vector, unless it stands where it should; returns what the index must learn."""
        blob, images = made.vector.tobytes(), made.further_images
        encoder = self.encoder_number(made.digest)
        is_same = (
            row is not None
            and (row.pattern, row.blob, row.further_count) == (made.pattern, blob, len(images))
            and row.checksum == vector_checksum(blob, encoder, row.pattern, row.version)
            and has_photos(self._writer, number, encoder, images, row.checksum)
        )
        if row is not None and is_same:
            if row.is_beside == (table is _Table.BESIDE):
                return None
            # An unchanged vector keeps its key: writing a file again must not churn the index.
            version = row.version
        checksum = vector_checksum(blob, encoder, made.pattern, version)
        self._put(number, (encoder, made.pattern, version, blob, checksum), row, table)
        if is_same:
            return None
        # Where a damaged encoder number hid the row, nobody knows of its photos.
        if row.further_count if row is not None else table is _Table.MAIN:
            remove_photos(self._writer, number, encoder)
        return VectorChange(
            product_number=number,
            digest=made.digest,
            old=None if row is None else row.old,
            new=VectorState(pattern=made.pattern, version=version, further_count=len(images)),
            rows=made.rows,
            checksums=add_photos(self._writer, number, encoder, images, checksum),
        )

    def _put(
        self, number: int, values: tuple[object, ...], row: _Row | None, table: _Table
    ) -> None:
        """Writes the columns of a vector after the product number; `row` is what stood there."""
        if table is _Table.BESIDE:
            self._writer.execute(f"{_INTO_BESIDE} VALUES {_VALUES}", (number, *values))
        elif table is _Table.NEW_MAIN:
            self._writer.execute(f"{_INTO_MAIN} VALUES {_VALUES}", (number, *values))
        else:
            self._writer.execute(
                f"{_SET_MAIN} (?, ?, ?, ?, ?) WHERE product_number = ?", (*values, number)
            )
            if row is not None and row.is_beside:
                self._remove_beside(number, values[0])

    def _end(self, number: int, digest: str, row: _Row, *, version: int) -> VectorChange | None:
        """Ends the vector of an encoder; where it is kept, notes that it has to embed again."""
        encoder = self.encoder_number(digest)
        if row.is_kept:
            checksum = vector_checksum(b"", encoder, Pattern.NONE, version)
            values = (number, encoder, Pattern.NONE, version, b"", checksum)
            self._writer.execute(f"{_INTO_BESIDE} VALUES {_VALUES}", values)
        elif row.is_beside:
            self._remove_beside(number, encoder)
        if row.further_count:
            remove_photos(self._writer, number, encoder)
        if row.old is None:
            return None
        return VectorChange(product_number=number, digest=digest, old=row.old)

    def _remove_beside(self, number: int, encoder: object) -> None:
        self._writer.execute(
            "DELETE FROM vectors_beside WHERE product_number = ? AND encoder_number = ?",
            (number, encoder),
        )


def _ended(digest: str, rows: Sequence[tuple[int, int, int, int]]) -> Iterator[VectorChange]:
    """Yields what ended with rows of `_STATE`."""
    for product, pattern, version, further_count in rows:
        old = VectorState(
            pattern=stored_pattern(pattern), version=version, further_count=further_count
        )
        yield VectorChange(product_number=product, digest=digest, old=old)


def _next_version(versions: Collection[int]) -> int:
    """Returns a version that none of a product's vectors has: the next one, which may wrap."""
    version = max(versions, default=0) + 1
    while (version := version % (1 << VERSION_BITS)) in versions:
        version += 1
    return version
