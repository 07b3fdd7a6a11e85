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
from contextlib import contextmanager, suppress
from pathlib import Path

from twinshelf.server.catalogue.disk_room import has_room
from twinshelf.server.catalogue.product_record import (
    Deleted,
    Dropped,
    NewProduct,
    NewVector,
    Stored,
    VectorChange,
)
from twinshelf.server.catalogue.rows.encoder_rows import EncoderRows
from twinshelf.server.catalogue.rows.file_guard import FileGuard
from twinshelf.server.catalogue.rows.photo_rows import write_thumbnail
from twinshelf.server.catalogue.rows.product_reader import ProductReader
from twinshelf.server.catalogue.rows.schema import PRODUCT_FIELDS, open_writer, row_checksum
from twinshelf.server.catalogue.rows.vector_rows import VectorRows
from twinshelf.server.errors import (
    CatalogueDamagedError,
    CatalogueFullError,
    ProductChangedError,
)

# Room for deletions when the disk is full: they need some before they give more back.
_RESERVE_BYTES = 4 << 20
# SQLite tells of a full disk, but a full quota is to it a write that failed.
_FAILED_WRITES = (
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_SHMSIZE,
)
# A deletion is known to `changes_after` for so many changes.
REMEMBERED_CHANGES = 1_000_000


class ProductStore:
    """Reads and writes the SQLite file.

    Attributes:
        path: The file.
        guard: Tells whether it can be trusted.
        reader: Reads it.
        encoders: Which encoder serves, and which are kept beside it.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it.

        Raises:
            CatalogueFileError: If the file is not a catalogue that this version can serve.
        """
        self.path = path
        self._reserve = path.with_name("reserve")
        # SQLite needs some room to open a file.
        self._reserve.unlink(missing_ok=True)
        self._writer = open_writer(path)
        self._fill_reserve()
        self.guard = FileGuard(path)
        self.reader = ProductReader(path, self.guard)
        self._vectors = VectorRows(self._writer)
        self.encoders = EncoderRows(self._writer)

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
            CatalogueDamagedError: If SQLite fails otherwise, or the file can no longer be trusted.
        """
        if problem := self.guard.find_problem():
            raise CatalogueDamagedError(f"nothing is written any more: {problem}")
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            yield self._writer
            self._writer.execute("COMMIT")
        except BaseException as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            if not isinstance(error, sqlite3.DatabaseError):
                raise
            if self._is_full(error):
                raise _full_error() from error
            raise CatalogueDamagedError(f"the catalogue cannot be written: {error}") from error

    @contextmanager
    def reserve_released(self) -> Iterator[None]:
        """Gives the room that is kept for deletions to the transactions of its body."""
        self._reserve.unlink(missing_ok=True)
        try:
            yield
        finally:
            # What is removed gives room to the file alone; the log gives the disk its own.
            with suppress(sqlite3.DatabaseError):
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._fill_reserve()

    def upsert(self, product: NewProduct) -> Stored:
        """Stores a product, in place of the one of the same id. Needs a transaction.

        Raises:
            CatalogueFullError: If there is not even room for deletions.
            EncoderChangedError: If it lacks the vector of the encoder that serves by now.
            ProductChangedError: If another change wrote it last than the one expected. As with
                the other errors, nothing is written.
        """
        self._check_room()
        vectors = product.vectors
        if not product.keeps_others:
            vectors = self.encoders.state.choose(vectors)
        record = product.record
        old = self._find(record.product_id)
        if product.expected_change not in (None, old and old[1]):
            raise _changed(record.product_id)
        # SQLite keeps -0.0 as 0.0, and the checksum is of what will be read.
        price = None if record.price is None else record.price + 0.0
        fields = (
            *(record.product_id, record.title, record.description, record.category),
            *(record.brand, record.seller, price),
            json.dumps(dict(record.attributes), ensure_ascii=False),
            record.image_uri,
            time.time_ns() // 1000,
        )
        values = (*fields, self._next_change(), row_checksum(*fields))
        if old is None:
            number = self._writer.execute(
                f"INSERT INTO products ({PRODUCT_FIELDS}, change_sequence, checksum) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            ).lastrowid
            assert number is not None
        else:
            number = old[0]
            self.guard.forget(number)
            self._writer.execute(
                f"UPDATE products SET ({PRODUCT_FIELDS}, change_sequence, checksum) "
                "= (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE product_number = ?",
                (*values, number),
            )
        write_thumbnail(self._writer, product, number, is_new=old is None)
        changes = self._vectors.replace(
            number, vectors, is_new=old is None, keeps_others=product.keeps_others
        )
        return Stored(product_number=number, replaced=old is not None, changes=changes)

    def add_vector(self, vector: NewVector) -> Stored:
        """Stores what one more encoder made of a product. Needs a transaction.

        Raises:
            CatalogueFullError: If there is not even room for deletions.
            EncoderChangedError: If the vectors of its encoder are no longer kept.
            ProductChangedError: If the product was changed or removed meanwhile.
        """
        self._check_room()
        self.encoders.state.check_kept(vector.made.digest)
        old = self._find(vector.product_id)
        if old is None or old[1] != vector.expected_change:
            raise _changed(vector.product_id)
        changes = self._vectors.add(old[0], vector.made)
        return Stored(product_number=old[0], replaced=True, changes=changes)

    def delete(self, product_ids: Sequence[str]) -> Deleted:
        """Removes products. Needs a transaction."""
        removed: list[int] = []
        missing: list[str] = []
        changes: list[VectorChange] = []
        for product_id in dict.fromkeys(product_ids):
            found = self._find(product_id)
            if found is None:
                missing.append(product_id)
                continue
            number = found[0]
            changes += self._vectors.end_all(number)
            self._writer.execute("DELETE FROM products WHERE product_number = ?", (number,))
            self._writer.execute(
                "INSERT INTO deletions VALUES (?, ?)", (self._next_change(), product_id)
            )
            self.guard.forget(number)
            removed.append(number)
        self._forget_deletions()
        return Deleted(removed=tuple(removed), changes=tuple(changes), missing=tuple(missing))

    def drop_some(self, digest: str, count: int) -> Dropped:
        """Removes up to `count` vectors of an encoder from either table. Needs a transaction.

        Raises:
            EncoderConflictError: If it serves by now.
        """
        state = self.encoders.state
        state.check_drop(digest)
        assert state.current is not None
        return self._vectors.drop_some(digest, state.current, count)

    def _forget_deletions(self) -> None:
        (forgotten,) = self._writer.execute(
            "UPDATE catalogue_state SET forgotten_sequence = "
            "max(forgotten_sequence, change_sequence - ?) RETURNING forgotten_sequence",
            (REMEMBERED_CHANGES,),
        ).fetchone()
        self._writer.execute("DELETE FROM deletions WHERE change_sequence <= ?", (forgotten,))

    def _find(self, product_id: str) -> tuple[int, int] | None:
        """Returns number and last change of a product."""
        found: tuple[int, int] | None = self._writer.execute(
            "SELECT product_number, change_sequence FROM products WHERE product_id = ?",
            (product_id,),
        ).fetchone()
        return found

    def _check_room(self) -> None:
        if not self._reserve.exists() and not self._fill_reserve():
            raise _full_error()

    def _is_full(self, error: sqlite3.DatabaseError) -> bool:
        # Python's own errors, and those of `schema`, have no code.
        code = getattr(error, "sqlite_errorcode", None)
        if code in _FAILED_WRITES:
            return not has_room(self.path.parent)
        return code == sqlite3.SQLITE_FULL

    def _fill_reserve(self) -> bool:
        """Sets room for deletions aside; returns whether there was enough."""
        try:
            with self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        except OSError:
            self._reserve.unlink(missing_ok=True)
            return False
        return True

    def _next_change(self) -> int:
        row = self._writer.execute(
            "UPDATE catalogue_state SET change_sequence = change_sequence + 1 "
            "RETURNING change_sequence"
        ).fetchone()
        return int(row[0])


def _full_error() -> CatalogueFullError:
    return CatalogueFullError("the disk of the catalogue is full; products can be deleted only")


def _changed(product_id: str) -> ProductChangedError:
    return ProductChangedError(f"product {product_id!r} was changed meanwhile")
