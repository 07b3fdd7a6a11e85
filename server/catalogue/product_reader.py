"""Reading the SQLite file: products, what tells vectors apart, and the vectors themselves.

Any number of threads read, each through a connection of its own.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.change_reader import read_changes
from twinshelf.server.catalogue.facet_table import Facets, FacetTable
from twinshelf.server.catalogue.file_guard import FileGuard
from twinshelf.server.catalogue.product_record import (
    ChangeableProduct,
    EmbeddedProduct,
    ProductChange,
    StoredProduct,
    VectorTable,
)
from twinshelf.server.catalogue.schema import open_reader
from twinshelf.server.catalogue.stored_rows import (
    EMBEDDED_COLUMNS,
    EMBEDDED_PATTERNS,
    PRODUCT_COLUMNS,
    PRODUCT_TABLES,
    attributes_from_json,
    find_vector_problem,
    product_from_embedded,
    product_from_row,
)
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import stored_embedding
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import CatalogueDamagedError

_BLOCK_SIZE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorKeys:
    """What tells N stored vectors apart, by rising product number.

    Attributes:
        product_numbers: (N,) internal numbers.
        vector_versions: (N,) versions.
        checksums: (N,) CRC-32 of the vectors.
    """

    product_numbers: npt.NDArray[np.int64]
    vector_versions: npt.NDArray[np.int64]
    checksums: npt.NDArray[np.int64]


class ProductReader:
    """Reads the SQLite file; damaged rows are set aside by its guard."""

    def __init__(self, path: Path, guard: FileGuard) -> None:
        """Opens connections as threads come."""
        self._path = path
        self._guard = guard
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()

    def close(self) -> None:
        """Closes every connection; no other thread may read any more."""
        with self._readers_lock:
            for reader in self._readers:
                reader.close()
            self._readers.clear()

    def product(self, product_id: str) -> StoredProduct | None:
        """Returns one product, or None."""
        row = self._reader.execute(
            f"SELECT {EMBEDDED_COLUMNS} FROM {PRODUCT_TABLES} WHERE p.product_id = ?",
            (product_id,),
        ).fetchone()
        return None if row is None else product_from_embedded(row)

    def changeable(self, product_id: str) -> ChangeableProduct | None:
        """Returns one product with its vector, or None.

        Raises:
            CatalogueDamagedError: If one of its rows is damaged.
        """
        row = self._reader.execute(
            "SELECT p.change_sequence, v.encoder_number, v.pattern, v.vector_version, v.checksum, "
            f"v.vector, {EMBEDDED_COLUMNS} "
            f"FROM {PRODUCT_TABLES} WHERE p.product_id = ?",
            (product_id,),
        ).fetchone()
        if row is None:
            return None
        change_sequence, encoder, pattern, version, checksum, blob, *product = row
        key = (encoder, pattern, version)
        if problem := find_vector_problem(blob, key, checksum, len(blob) // 2):
            raise CatalogueDamagedError(
                f"product {product_id!r} is damaged: {problem}; write it again",
                facts={"product_id": product_id},
            )
        return ChangeableProduct(
            product=product_from_embedded(tuple(product)),
            vector=np.frombuffer(blob, dtype=np.float16),
            change_sequence=change_sequence,
        )

    def products_after(self, product_id: str, count: int) -> Iterator[StoredProduct]:
        """Yields up to `count` products by rising product_id, from after the one given."""
        rows = self._reader.execute(
            f"SELECT {EMBEDDED_COLUMNS} FROM {PRODUCT_TABLES} "
            "WHERE p.product_id > ? ORDER BY p.product_id LIMIT ?",
            (product_id, count),
        )
        return map(product_from_embedded, rows)

    def changes_after(self, sequence: int, count: int) -> list[ProductChange]:
        """Returns up to `count` changes after one, all of one moment; see `read_changes`."""
        return read_changes(self._reader, self._guard, sequence, count)

    def products_by_number(
        self, patterns: Mapping[int, Pattern], digest: str
    ) -> dict[int, StoredProduct]:
        """Returns products by their internal numbers, without the missing and the damaged ones.

        Reads no row of a vector: what a search knows of these is given instead.

        Args:
            patterns: Modalities that are embedded, of each product number.
            digest: Digest of the encoder that embedded them.
        """
        rows = self._reader.execute(
            f"SELECT p.product_number, {PRODUCT_COLUMNS} FROM products p "
            f"WHERE p.product_number IN ({','.join('?' * len(patterns))})",
            tuple(patterns),
        )
        found = {}
        for number, *row in rows:
            try:
                found[number] = product_from_row(row, patterns[number], digest)
            except CatalogueDamagedError as error:
                self._guard.set_aside(number, error.message)
        return found

    def embedded_products(
        self, product_ids: Sequence[str], contract: EncoderContract
    ) -> dict[str, EmbeddedProduct]:
        """Returns products and their embeddings, both of one moment; see `Catalogue`."""
        rows = self._reader.execute(
            f"SELECT {EMBEDDED_COLUMNS}, v.product_number, v.encoder_number, v.pattern, "
            "v.vector_version, v.checksum, v.vector "
            f"FROM json_each(?) j JOIN {PRODUCT_TABLES} WHERE p.product_id = j.value",
            (json.dumps(list(product_ids)),),
        )
        found = {}
        for *fields, number, encoder, pattern, version, checksum, blob in rows:
            product = product_from_embedded(tuple(fields))
            embedding = None
            if product.digest == contract.digest:
                key = (encoder, pattern, version)
                if problem := find_vector_problem(blob, key, checksum, contract.dimension):
                    self._guard.set_aside(number, problem)
                else:
                    vector = np.frombuffer(blob, dtype=np.float16)
                    embedding = stored_embedding(vector, product.pattern, contract)
            found[product.record.product_id] = EmbeddedProduct(product=product, embedding=embedding)
        return found

    def vector_keys(self, digest: str, pattern: Pattern) -> VectorKeys:
        """Returns what tells the vectors of an encoder and a pattern apart, by product number."""
        rows = self._reader.execute(
            "SELECT v.product_number, v.vector_version, v.checksum "
            "FROM product_vectors v JOIN encoders e USING (encoder_number) "
            "WHERE e.digest = ? AND v.pattern = ? ORDER BY v.product_number",
            (digest, pattern),
        )
        # Block by block: to take a list, numpy holds the interpreter's lock.
        blocks = [np.empty((0, 3), dtype=np.int64)]
        while block := rows.fetchmany(_BLOCK_SIZE):
            blocks.append(np.array(block, dtype=np.int64))
        numbers, versions, checksums = np.concatenate(blocks).T
        return VectorKeys(product_numbers=numbers, vector_versions=versions, checksums=checksums)

    def vector_table(
        self, numbers: npt.NDArray[np.int64], digest: str, pattern: Pattern, dimension: int
    ) -> VectorTable:
        """Returns vectors by product number; damaged ones are left out and named in the log.

        Args:
            numbers: (N,) internal numbers.
            digest: Digest of the encoder; vectors of others are left out.
            pattern: Pattern of the vectors; those of others are left out.
            dimension: Length of a vector.
        """
        columns = np.empty((len(numbers), 3), dtype=np.int64)
        vectors = np.empty((len(numbers), dimension), dtype=np.float16)
        count = 0
        for start in range(0, len(numbers), _BLOCK_SIZE):
            rows = self._reader.execute(
                "SELECT v.product_number, v.encoder_number, v.vector_version, v.checksum, v.vector "
                "FROM json_each(?) j CROSS JOIN product_vectors v ON v.product_number = j.value "
                "CROSS JOIN encoders e USING (encoder_number) WHERE e.digest = ? AND v.pattern = ?",
                (json.dumps(numbers[start : start + _BLOCK_SIZE].tolist()), digest, pattern),
            )
            for number, encoder, version, checksum, blob in rows:
                key = (encoder, int(pattern), version)
                if problem := find_vector_problem(blob, key, checksum, dimension):
                    self._guard.set_aside(number, problem)
                    continue
                vectors[count] = np.frombuffer(blob, dtype=np.float16)
                columns[count] = number, version, checksum
                count += 1
        numbers, versions, checksums = columns[:count].T
        return VectorTable(
            product_numbers=numbers,
            vector_versions=versions,
            checksums=checksums,
            vectors=vectors[:count],
        )

    def numbers_of(self, product_ids: Sequence[str]) -> list[int]:
        """Returns the internal numbers of those products that there are."""
        rows = self._reader.execute(
            "SELECT product_number FROM products "
            f"WHERE product_id IN ({','.join('?' * len(product_ids))})",
            product_ids,
        )
        return [number for (number,) in rows]

    def facets(self) -> FacetTable:
        """Returns the facets of all products."""
        rows = self._reader.execute(
            "SELECT product_number, category, brand, seller, price, attributes FROM products "
            "ORDER BY product_number"
        )
        table = FacetTable()
        while block := rows.fetchmany(_BLOCK_SIZE):
            numbers, *fields, prices, attributes = zip(*block, strict=True)
            table.append(
                Facets(
                    product_numbers=numbers,
                    fields=fields,
                    prices=prices,
                    attributes=list(map(self._read_attributes, numbers, attributes)),
                )
            )
        return table

    def counts(self) -> Counter[tuple[str, Pattern]]:
        """Counts products by digest and pattern."""
        rows = self._reader.execute(
            "SELECT e.digest, v.pattern, count(*) FROM product_vectors v "
            "JOIN encoders e USING (encoder_number) GROUP BY v.encoder_number, v.pattern"
        )
        return Counter(
            {
                (digest, Pattern(pattern)): count
                for digest, pattern, count in rows
                if pattern in EMBEDDED_PATTERNS  # any other is damage, which the check names
            }
        )

    def change_sequence(self) -> int:
        """Returns the number of the last change."""
        row = self._reader.execute("SELECT change_sequence FROM catalogue_state").fetchone()
        return int(row[0])

    @property
    def catalogue_id(self) -> str:
        """Identity of the file; another one after a backup was restored."""
        row = self._reader.execute("SELECT catalogue_id FROM catalogue_state").fetchone()
        return str(row[0])

    def _read_attributes(self, number: int, text: str) -> dict[str, str]:
        """Reads the attributes of a product; a damaged one has none that a filter could find."""
        try:
            return attributes_from_json(text)
        except ValueError as error:
            self._guard.set_aside(number, f"its attributes cannot be read: {error}")
            return {}

    @property
    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = open_reader(self._path)
            self._local.connection = connection
            with self._readers_lock:
                self._readers.append(connection)
        return connection
