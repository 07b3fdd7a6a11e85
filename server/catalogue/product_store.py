"""The truth of the catalogue: product rows and their vectors in one SQLite file.

One thread writes; any number of threads read, each through a connection of its own. Nothing here
knows of the search index or of the event loop.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from server.catalogue.product_record import (
    Deleted,
    NewProduct,
    ProductRecord,
    Stored,
    StoredProduct,
    VectorBlock,
)
from server.catalogue.schema import open_reader, open_writer
from server.encoders.modalities import Pattern

_PRODUCT_COLUMNS = (
    "p.product_id, p.title, p.description, p.category, p.brand, p.seller, p.price, p.attributes, "
    "p.image_uri, v.pattern, e.digest, p.update_time_us"
)
_PRODUCT_TABLES = (
    "products p JOIN product_vectors v USING (product_number) "
    "JOIN encoders e USING (encoder_number)"
)
# CROSS JOIN keeps this order: left to itself, SQLite goes through all products of an encoder.
_NUMBERED_TABLES = (
    "json_each(?) j CROSS JOIN product_vectors v ON v.product_number = j.value "
    "CROSS JOIN products p ON p.product_number = j.value "
    "CROSS JOIN encoders e USING (encoder_number)"
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
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()

    def close(self) -> None:
        """Closes every connection; no other thread may use the store any more."""
        with self._readers_lock:
            for reader in self._readers:
                reader.close()
            self._readers.clear()
        self._writer.close()

    # Writing: one thread only.

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits all writes of its body together, or none of them."""
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def upsert(self, product: NewProduct) -> Stored:
        """Stores a product, in place of the one of the same id. Needs a transaction."""
        record = product.record
        old = self._writer.execute(
            "SELECT v.product_number, v.vector_version, e.digest, v.pattern, v.vector "
            f"FROM {_PRODUCT_TABLES} WHERE p.product_id = ?",
            (record.product_id,),
        ).fetchone()
        values = (
            *(record.title, record.description, record.category, record.brand, record.seller),
            record.price,
            json.dumps(dict(record.attributes), ensure_ascii=False),
            record.image_uri,
            time.time_ns() // 1000,
            self._next_change(),
            record.product_id,
        )
        if old is None:
            return self._insert(product, values)
        number, version, digest, pattern, blob = old
        self._writer.execute(
            "UPDATE products SET title = ?, description = ?, category = ?, brand = ?, seller = ?, "
            "price = ?, attributes = ?, image_uri = ?, update_time_us = ?, change_sequence = ? "
            "WHERE product_id = ?",
            values,
        )
        new_blob = product.vector.tobytes()
        # An unchanged vector keeps its key: writing a file again must not churn the index.
        changed = (digest, pattern, blob) != (product.digest, product.pattern, new_blob)
        if changed:
            version += 1
            self._writer.execute(
                "UPDATE product_vectors SET encoder_number = ?, pattern = ?, vector_version = ?, "
                "vector = ? WHERE product_number = ?",
                (self._encoder_number(product.digest), product.pattern, version, new_blob, number),
            )
        return Stored(
            product_number=number,
            vector_version=version,
            replaced=True,
            vector_changed=changed,
            old=(digest, Pattern(pattern)),
        )

    def delete(self, product_ids: Sequence[str]) -> Deleted:
        """Removes products. Needs a transaction."""
        removed, missing = [], []
        for product_id in dict.fromkeys(product_ids):
            row = self._writer.execute(
                f"SELECT v.product_number, v.vector_version, e.digest, v.pattern "
                f"FROM {_PRODUCT_TABLES} WHERE p.product_id = ?",
                (product_id,),
            ).fetchone()
            if row is None:
                missing.append(product_id)
                continue
            self._writer.execute("DELETE FROM products WHERE product_number = ?", row[:1])
            self._next_change()
            removed.append((row[0], row[1], row[2], Pattern(row[3])))
        return Deleted(removed=tuple(removed), missing=tuple(missing))

    def _insert(self, product: NewProduct, values: tuple[object, ...]) -> Stored:
        number = self._writer.execute(
            "INSERT INTO products (title, description, category, brand, seller, price, attributes, "
            "image_uri, update_time_us, change_sequence, product_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        ).lastrowid
        assert number is not None
        self._writer.execute(
            "INSERT INTO product_vectors VALUES (?, ?, ?, 1, ?)",
            (
                number,
                self._encoder_number(product.digest),
                product.pattern,
                product.vector.tobytes(),
            ),
        )
        return Stored(
            product_number=number, vector_version=1, replaced=False, vector_changed=True, old=None
        )

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

    # Reading: any thread.

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Lets all reads of its body, in this thread, see one state of the catalogue."""
        self._reader.execute("BEGIN")
        try:
            yield
        finally:
            self._reader.execute("COMMIT")

    def product(self, product_id: str) -> StoredProduct | None:
        """Returns one product, or None."""
        row = self._reader.execute(
            f"SELECT {_PRODUCT_COLUMNS} FROM {_PRODUCT_TABLES} WHERE p.product_id = ?",
            (product_id,),
        ).fetchone()
        return None if row is None else _product(row)

    def products_after(self, product_id: str, count: int) -> Iterator[StoredProduct]:
        """Yields up to `count` products by rising product_id, from after the one given."""
        rows = self._reader.execute(
            f"SELECT {_PRODUCT_COLUMNS} FROM {_PRODUCT_TABLES} "
            "WHERE p.product_id > ? ORDER BY p.product_id LIMIT ?",
            (product_id, count),
        )
        return map(_product, rows)

    def products_by_number(self, numbers: Sequence[int]) -> dict[int, StoredProduct]:
        """Returns products by their internal numbers; the missing ones are left out."""
        rows = self._reader.execute(
            f"SELECT p.product_number, {_PRODUCT_COLUMNS} FROM {_NUMBERED_TABLES}",
            (json.dumps(list(numbers)),),
        )
        return {row[0]: _product(row[1:]) for row in rows}

    def vectors_by_number(self, numbers: Sequence[int], digest: str, dimension: int) -> VectorBlock:
        """Returns the vectors of products that an encoder made; the missing ones are left out."""
        rows = self._reader.execute(
            "SELECT v.product_number, p.product_id, v.vector_version, v.vector "
            f"FROM {_NUMBERED_TABLES} WHERE e.digest = ?",
            (json.dumps(list(numbers)), digest),
        ).fetchall()
        return _block(rows, dimension)

    def vectors(
        self, digest: str, pattern: Pattern, dimension: int, block_size: int
    ) -> Iterator[VectorBlock]:
        """Yields all vectors of an encoder and a pattern, in blocks, by rising product number."""
        rows = self._reader.execute(
            "SELECT v.product_number, '', v.vector_version, v.vector "
            "FROM product_vectors v JOIN encoders e USING (encoder_number) "
            "WHERE e.digest = ? AND v.pattern = ? ORDER BY v.product_number",
            (digest, pattern),
        )
        while block := rows.fetchmany(block_size):
            yield _block(block, dimension)

    def counts(self) -> Counter[tuple[str, Pattern]]:
        """Counts products by digest and pattern."""
        rows = self._reader.execute(
            "SELECT e.digest, v.pattern, count(*) FROM product_vectors v "
            "JOIN encoders e USING (encoder_number) GROUP BY v.encoder_number, v.pattern"
        )
        return Counter({(digest, Pattern(pattern)): count for digest, pattern, count in rows})

    def change_sequence(self) -> int:
        """Returns the number of the last change."""
        row = self._reader.execute("SELECT change_sequence FROM catalogue_state").fetchone()
        return int(row[0])

    @property
    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = open_reader(self._path)
            self._local.connection = connection
            with self._readers_lock:
                self._readers.append(connection)
        return connection


def _product(row: Sequence[object]) -> StoredProduct:
    (*texts, price, attributes, image_uri, pattern, digest, update_time_us) = row
    product_id, title, description, category, brand, seller = map(str, texts)
    return StoredProduct(
        record=ProductRecord(
            product_id=product_id,
            title=title,
            description=description,
            category=category,
            brand=brand,
            seller=seller,
            price=price if isinstance(price, float) else None,
            attributes=json.loads(str(attributes)),
            image_uri=str(image_uri),
        ),
        pattern=Pattern(int(str(pattern))),
        digest=str(digest),
        update_time_us=int(str(update_time_us)),
    )


def _block(rows: Sequence[tuple[int, str, int, bytes]], dimension: int) -> VectorBlock:
    flat = np.frombuffer(b"".join(row[3] for row in rows), dtype=np.float16)
    return VectorBlock(
        product_numbers=np.array([row[0] for row in rows], dtype=np.int64),
        product_ids=tuple(row[1] for row in rows),
        vector_versions=np.array([row[2] for row in rows], dtype=np.int64),
        vectors=flat.reshape(len(rows), dimension),
    )
