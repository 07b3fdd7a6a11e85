"""The truth of the catalogue: product rows and their vectors in one SQLite file.

One thread writes; any number of threads read, each through a connection of its own. Nothing here
knows of the search index or of the event loop.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twinshelf.server.catalogue.file_guard import FileGuard
from twinshelf.server.catalogue.photo_rows import add_photos, has_other_photos, write_thumbnail
from twinshelf.server.catalogue.product_reader import ProductReader
from twinshelf.server.catalogue.product_record import (
    VERSION_BITS,
    Deleted,
    NewProduct,
    ProductRecord,
    Stored,
    StoredVectors,
)
from twinshelf.server.catalogue.schema import (
    PRODUCT_FIELDS,
    open_writer,
    product_checksum,
    vector_checksum,
)
from twinshelf.server.catalogue.stored_rows import PRODUCT_TABLES
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import (
    CatalogueDamagedError,
    CatalogueFullError,
    ProductChangedError,
)

# Room for deletions when the disk is full: they need some before they give more back.
_RESERVE_BYTES = 4 << 20
# A deletion is known to `changes_after` for so many changes.
REMEMBERED_CHANGES = 1_000_000


_STORED_COLUMNS = (
    "v.product_number, v.vector_version, e.digest, v.pattern, "
    "(SELECT count(*) FROM further_photos f WHERE f.product_number = v.product_number)"
)


class ProductStore:
    """Reads and writes the SQLite file."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it.

        Raises:
            CatalogueFileError: If the file is not a catalogue that this version can serve.
        """
        self._path = path
        self._writer = open_writer(path)
        self._reserve = path.with_name("reserve")
        self._fill_reserve()
        self.guard = FileGuard(path)
        self.reader = ProductReader(path, self.guard)

    def close(self) -> None:
        """Closes every connection; no other thread may use the store any more."""
        self.reader.close()
        self._writer.close()

    # Writing: one thread only.

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits all writes of its body together, or none of them; gives the writing connection.

        Raises:
            CatalogueFullError: If the disk is full.
            CatalogueDamagedError: If SQLite fails otherwise.
        """
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            yield self._writer
            self._writer.execute("COMMIT")
        except BaseException as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            if not isinstance(error, sqlite3.DatabaseError):
                raise
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise _full_error() from error
            raise CatalogueDamagedError(f"the catalogue cannot be written: {error}") from error

    @contextmanager
    def reserve_released(self) -> Iterator[None]:
        """Gives the room that is kept for deletions to the transactions of its body."""
        self._reserve.unlink(missing_ok=True)
        try:
            yield
        finally:
            self._fill_reserve()

    def upsert(self, product: NewProduct) -> Stored:
        """Stores a product, in place of the one of the same id. Needs a transaction.

        Raises:
            CatalogueFullError: If there is not even room for deletions.
            ProductChangedError: If another change wrote it last than the one expected; nothing is
                written.
        """
        if not self._reserve.exists() and not self._fill_reserve():
            raise _full_error()
        record = product.record
        row = self._writer.execute(
            f"SELECT {_STORED_COLUMNS}, v.vector, p.change_sequence "
            f"FROM {PRODUCT_TABLES} WHERE p.product_id = ?",
            (record.product_id,),
        ).fetchone()
        if product.expected_change not in (None, row and row[-1]):
            raise ProductChangedError(f"product {record.product_id!r} was changed meanwhile")
        values = self._values(record)
        if row is None:
            return self._insert(product, values)
        *columns, blob, _ = row
        return self._replace(product, values, _stored_vectors(columns), blob)

    def delete(self, product_ids: Sequence[str]) -> Deleted:
        """Removes products. Needs a transaction."""
        removed, missing = [], []
        for product_id in dict.fromkeys(product_ids):
            row = self._writer.execute(
                f"SELECT {_STORED_COLUMNS} FROM {PRODUCT_TABLES} WHERE p.product_id = ?",
                (product_id,),
            ).fetchone()
            if row is None:
                missing.append(product_id)
                continue
            self._writer.execute("DELETE FROM products WHERE product_number = ?", row[:1])
            self._writer.execute(
                "INSERT INTO deletions VALUES (?, ?)", (self._next_change(), product_id)
            )
            self.guard.forget(row[0])
            removed.append(_stored_vectors(row))
        self._forget_deletions()
        return Deleted(removed=tuple(removed), missing=tuple(missing))

    def _forget_deletions(self) -> None:
        (forgotten,) = self._writer.execute(
            "UPDATE catalogue_state SET forgotten_sequence = "
            "max(forgotten_sequence, change_sequence - ?) RETURNING forgotten_sequence",
            (REMEMBERED_CHANGES,),
        ).fetchone()
        self._writer.execute("DELETE FROM deletions WHERE change_sequence <= ?", (forgotten,))

    def _values(self, record: ProductRecord) -> tuple[object, ...]:
        """Returns the columns of a row: the fields, the number of the next change, the checksum."""
        # SQLite keeps -0.0 as 0.0, and the checksum is of what will be read.
        price = None if record.price is None else record.price + 0.0
        fields = (
            *(record.product_id, record.title, record.description, record.category),
            *(record.brand, record.seller, price),
            json.dumps(dict(record.attributes), ensure_ascii=False),
            record.image_uri,
            time.time_ns() // 1000,
        )
        return (*fields, self._next_change(), product_checksum(*fields))

    def _replace(
        self, product: NewProduct, values: tuple[object, ...], old: StoredVectors, blob: bytes
    ) -> Stored:
        number = old.product_number
        self.guard.forget(number)
        self._writer.execute(
            f"UPDATE products SET ({PRODUCT_FIELDS}, change_sequence, checksum) "
            "= (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE product_number = ?",
            (*values, number),
        )
        write_thumbnail(self._writer, product, number, is_new=False)
        # An unchanged vector keeps its key: writing a file again must not churn the index.
        new_blob = product.vector.tobytes()
        is_same = (old.digest, old.pattern, blob) == (product.digest, product.pattern, new_blob)
        changed = not is_same or has_other_photos(self._writer, product, old)
        version = (old.vector_version + changed) % (1 << VERSION_BITS)
        encoder_number = self._encoder_number(product.digest)
        checksum = vector_checksum(new_blob, encoder_number, product.pattern, version)
        if changed:
            self._writer.execute(
                "UPDATE product_vectors SET encoder_number = ?, pattern = ?, vector_version = ?, "
                "vector = ?, checksum = ? WHERE product_number = ?",
                (encoder_number, product.pattern, version, new_blob, checksum, number),
            )
            if old.further_count:
                self._writer.execute(
                    "DELETE FROM further_photos WHERE product_number = ?", (number,)
                )
        return Stored(
            product_number=number,
            vector_version=version,
            checksums=add_photos(self._writer, product, number, checksum) if changed else (),
            vector_changed=changed,
            old=old,
        )

    def _insert(self, product: NewProduct, values: tuple[object, ...]) -> Stored:
        encoder_number = self._encoder_number(product.digest)
        blob = product.vector.tobytes()
        checksum = vector_checksum(blob, encoder_number, product.pattern, 1)
        number = self._writer.execute(
            f"INSERT INTO products ({PRODUCT_FIELDS}, change_sequence, checksum) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        ).lastrowid
        assert number is not None
        self._writer.execute(
            "INSERT INTO product_vectors VALUES (?, ?, ?, 1, ?, ?)",
            (number, encoder_number, product.pattern, blob, checksum),
        )
        write_thumbnail(self._writer, product, number, is_new=True)
        return Stored(
            product_number=number,
            vector_version=1,
            checksums=add_photos(self._writer, product, number, checksum),
            vector_changed=True,
            old=None,
        )

    def _fill_reserve(self) -> bool:
        """Sets room for deletions aside; returns whether there was enough."""
        try:
            with self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        except OSError:
            self._reserve.unlink(missing_ok=True)
            return False
        return True

    def _encoder_number(self, digest: str) -> int:
        self._writer.execute("INSERT OR IGNORE INTO encoders (digest) VALUES (?)", (digest,))
        row = self._writer.execute(
            "SELECT encoder_number FROM encoders WHERE digest = ?", (digest,)
        ).fetchone()
        return int(row[0])

    def _next_change(self) -> int:
        row = self._writer.execute(
            "UPDATE catalogue_state SET change_sequence = change_sequence + 1 "
            "RETURNING change_sequence"
        ).fetchone()
        return int(row[0])


def _stored_vectors(row: Sequence[Any]) -> StoredVectors:
    """Reads a row of `_STORED_COLUMNS`."""
    number, version, digest, pattern, further_count = row
    return StoredVectors(
        product_number=number,
        vector_version=version,
        digest=digest,
        pattern=Pattern(pattern),
        further_count=further_count,
    )


def _full_error() -> CatalogueFullError:
    return CatalogueFullError("the disk of the catalogue is full; products can be deleted only")
