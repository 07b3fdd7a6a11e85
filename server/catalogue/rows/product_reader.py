"""Reading the SQLite file: products, their facets and their counts.

Any number of threads read, each through a connection of its own.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from twinshelf.server.catalogue.facets.facet_table import Facets, FacetTable
from twinshelf.server.catalogue.product_record import (
    ChangeableProduct,
    EmbeddedProduct,
    ProductChange,
    StoredProduct,
    UnembeddedProduct,
)
from twinshelf.server.catalogue.rows.change_reader import read_changes
from twinshelf.server.catalogue.rows.connections import ReaderConnections, one_moment
from twinshelf.server.catalogue.rows.encoder_reader import read_unembedded, read_vectors
from twinshelf.server.catalogue.rows.file_guard import FileGuard
from twinshelf.server.catalogue.rows.stored_rows import (
    EMBEDDED_COLUMNS,
    FURTHER_COUNT,
    MAIN_TABLE,
    PRODUCT_COLUMNS,
    PRODUCT_TABLES,
    THUMBNAIL_PROBLEM,
    VECTOR_COLUMNS,
    VECTOR_TABLES,
    attributes_from_json,
    find_vector_problem,
    is_thumbnail_whole,
    product_from_embedded,
    product_from_row,
    stored_pattern,
)
from twinshelf.server.catalogue.rows.vector_reader import VectorReader
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import stored_embedding
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import CatalogueDamagedError

_BLOCK_SIZE = 4096
_TEXTS: frozenset[type] = frozenset({str})
_PRICES: frozenset[type] = frozenset({float, type(None)})
Value = TypeVar("Value")


class ProductReader:
    """Reads the SQLite file; damaged rows are set aside by its guard.

    Attributes:
        vectors: Reads the vectors.
    """

    def __init__(self, path: Path, guard: FileGuard) -> None:
        """Opens connections as threads come."""
        self._connections = ReaderConnections(path)
        self._guard = guard
        self.vectors = VectorReader(self._connections, guard)

    def close(self) -> None:
        """Closes every connection; no other thread may read any more."""
        self._connections.close()

    def product(self, product_id: str) -> StoredProduct | None:
        """Returns one product, or None."""
        row = self._reader.execute(
            f"SELECT {EMBEDDED_COLUMNS} FROM {PRODUCT_TABLES} WHERE p.product_id = ?",
            (product_id,),
        ).fetchone()
        return None if row is None else product_from_embedded(row)

    def changeable(self, product_id: str) -> ChangeableProduct | None:
        """Returns one product with its vectors, or None.

        Raises:
            CatalogueDamagedError: If one of its rows is damaged.
        """
        reader = self._reader
        with one_moment(reader):
            row = reader.execute(
                f"SELECT p.product_number, p.change_sequence, {EMBEDDED_COLUMNS} "
                f"FROM {PRODUCT_TABLES} WHERE p.product_id = ?",
                (product_id,),
            ).fetchone()
            if row is None:
                return None
            number, change_sequence, *product = row
            vectors = read_vectors(reader, number, product_id)
        return ChangeableProduct(
            product=product_from_embedded(product),
            vectors=vectors,
            change_sequence=change_sequence,
        )

    def thumbnail(self, product_id: str) -> bytes | None:
        """Returns the thumbnail of a product; None where there is none, or no such product.

        Raises:
            CatalogueDamagedError: If it is damaged.
        """
        row = self._reader.execute(
            "SELECT t.product_number, t.checksum, t.jpeg FROM products p "
            "JOIN thumbnails t USING (product_number) WHERE p.product_id = ?",
            (product_id,),
        ).fetchone()
        if row is None:
            return None
        number, checksum, jpeg = row
        if not is_thumbnail_whole(jpeg, number, checksum):
            self._guard.set_aside(number, THUMBNAIL_PROBLEM)
            raise CatalogueDamagedError(
                f"the thumbnail of product {product_id!r} is damaged; write the product again",
                facts={"product_id": product_id},
            )
        whole: bytes = jpeg
        return whole

    def products_after(self, product_id: str, count: int) -> list[StoredProduct]:
        """Returns up to `count` whole products by rising product_id, from after the one given."""
        found: list[StoredProduct] = []
        while len(found) < count:
            rows = self._reader.execute(
                f"SELECT p.product_number, {EMBEDDED_COLUMNS} FROM {PRODUCT_TABLES} "
                "WHERE p.product_id > ? ORDER BY p.product_id LIMIT ?",
                (product_id, count - len(found)),
            ).fetchall()
            if not rows:
                break
            for number, *row in rows:
                try:
                    found.append(product_from_embedded(row))
                except CatalogueDamagedError as error:
                    self._guard.set_aside(number, error.message)
            product_id = rows[-1][1]
        return found

    def changes_after(self, sequence: int, count: int, whole_until: int) -> list[ProductChange]:
        """Returns up to `count` changes after one, all of one moment; see `read_changes`."""
        return read_changes(self._reader, self._guard, sequence, count, whole_until)

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
        asked = {f"id_{place}": each for place, each in enumerate(product_ids)}
        names = ", ".join(f":{name}" for name in asked)
        # One statement, so that no vector moves from one table to the other meanwhile.
        rows = self._reader.execute(
            " UNION ALL ".join(
                f"SELECT {PRODUCT_COLUMNS}, e.digest, p.product_number, {FURTHER_COUNT}, "
                f"{VECTOR_COLUMNS} "
                f"FROM products p JOIN {table} v USING (product_number) "
                f"JOIN encoders e USING (encoder_number) WHERE p.product_id IN ({names})"
                for table in VECTOR_TABLES
            ),
            asked,
        )
        found = {}
        for *fields, digest, number, further, encoder, pattern, version, checksum, blob in rows:
            is_asked = digest == contract.digest and pattern != Pattern.NONE
            if fields[0] in found and not is_asked:
                continue
            embedding = None
            if is_asked:
                key = (encoder, pattern, version)
                if problem := find_vector_problem(blob, key, checksum, contract.dimension):
                    self._guard.set_aside(number, problem)
                else:
                    vector = np.frombuffer(blob, dtype=np.float16)
                    embedding = stored_embedding(vector, Pattern(pattern), contract)
            try:
                product = product_from_row(fields, pattern, digest)
            except CatalogueDamagedError as error:
                self._guard.set_aside(number, error.message)
                continue
            found[fields[0]] = EmbeddedProduct(
                product=product, embedding=embedding, further_count=further
            )
        return found

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
                    fields=[self._whole(numbers, texts, _TEXTS, "") for texts in fields],
                    prices=self._whole(numbers, prices, _PRICES, None),
                    attributes=list(map(self._read_attributes, numbers, attributes)),
                )
            )
        return table

    def counts(self) -> Counter[tuple[str, Pattern]]:
        """Counts vectors by digest and pattern; a damaged pattern is none, but counts as well."""
        counts: Counter[tuple[str, Pattern]] = Counter()
        for table in VECTOR_TABLES:
            rows = self._reader.execute(
                f"SELECT e.digest, v.pattern, count(*) FROM {table} v "
                "JOIN encoders e USING (encoder_number) GROUP BY v.encoder_number, v.pattern"
            )
            for digest, pattern, count in rows:
                if pattern or table == MAIN_TABLE:  # beside, 0 says that there is none
                    counts[digest, stored_pattern(pattern)] += count
        return counts

    def product_count(self) -> int:
        """Counts the products."""
        row = self._reader.execute("SELECT count(*) FROM products").fetchone()
        return int(row[0])

    def unembedded_after(self, number: int, digest: str, count: int) -> list[UnembeddedProduct]:
        """Returns products that an encoder has not embedded; see `Encoders`."""
        return read_unembedded(self._reader, self._guard, number, digest, count)

    def change_sequence(self) -> int:
        """Returns the number of the last change."""
        row = self._reader.execute("SELECT change_sequence FROM catalogue_state").fetchone()
        return int(row[0])

    @property
    def catalogue_id(self) -> str:
        """Identity of the file; another one after a backup was restored."""
        row = self._reader.execute("SELECT catalogue_id FROM catalogue_state").fetchone()
        return str(row[0])

    def _whole(
        self, numbers: Sequence[int], values: Sequence[Value], types: frozenset[type], empty: Value
    ) -> Sequence[Value]:
        """Puts `empty` in the place of values that a damaged file has of another type."""
        if types.issuperset(map(type, values)):
            return values
        whole = []
        for number, value in zip(numbers, values, strict=True):
            if type(value) not in types:
                self._guard.set_aside(number, f"a field of it cannot be read: {value!r}")
                value = empty
            whole.append(value)
        return whole

    def _read_attributes(self, number: int, text: str) -> dict[str, str]:
        """Reads the attributes of a product; a damaged one has none that a filter could find."""
        try:
            return attributes_from_json(text)
        except ValueError as error:
            self._guard.set_aside(number, f"its attributes cannot be read: {error}")
            return {}

    @property
    def _reader(self) -> sqlite3.Connection:
        return self._connections.own
