"""Rows of the SQLite file as products and vectors; each is checked against its checksum."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from twinshelf.server.catalogue.product_record import ProductRecord, StoredProduct
from twinshelf.server.catalogue.rows.group_tables import CHECKSUMS, RENEWABLE_TABLES
from twinshelf.server.catalogue.rows.schema import (
    PRODUCT_FIELDS,
    photo_checksum,
    row_checksum,
    thumbnail_checksum,
    vector_checksum,
)
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import CatalogueDamagedError

_NO_ATTRIBUTES = "{}"
_JSON = json.JSONDecoder()
THUMBNAIL_PROBLEM = "the checksum of its thumbnail differs"
GROUP_PROBLEM = "the checksum of its group or of its neighbours differs"
CHANGE_PROBLEM = "the number of its last change is damaged"
EMBEDDED_PATTERNS = (Pattern.IMAGE, Pattern.TEXT, Pattern.BOTH)
# Of a table `products p`, alone or joined with others.
PRODUCT_COLUMNS = f"{PRODUCT_FIELDS}, p.checksum"
# With what the serving encoder made of a product, or else another.
PRODUCT_TABLES = (
    "products p JOIN product_vectors v USING (product_number) "
    # A product of a damaged encoder number is there all the same.
    "LEFT JOIN encoders e ON e.encoder_number = v.encoder_number LEFT JOIN vectors_beside b "
    "ON b.product_number = p.product_number AND b.pattern > 0 "
    "AND b.encoder_number = (SELECT current_encoder FROM catalogue_state) "
    "LEFT JOIN encoders be ON be.encoder_number = b.encoder_number"
)
EMBEDDED_COLUMNS = (
    f"{PRODUCT_COLUMNS}, coalesce(b.pattern, v.pattern), coalesce(be.digest, e.digest)"
)
MAIN_TABLE = "product_vectors"
VECTOR_TABLES = (MAIN_TABLE, "vectors_beside")
# Of one of them as `v`.
VECTOR_COLUMNS = "v.encoder_number, v.pattern, v.vector_version, v.checksum, v.vector"
# Of a row `v` of either table of vectors.
FURTHER_COUNT = (
    "(SELECT count(*) FROM further_photos f WHERE f.product_number = v.product_number "
    "AND f.encoder_number = v.encoder_number)"
)


def stored_pattern(number: int) -> Pattern:
    """Returns the pattern that a number of the file stands for; none where it is damaged."""
    return Pattern(number) if number in EMBEDDED_PATTERNS else Pattern.NONE


def product_from_row(row: Sequence[Any], pattern: int, digest: str | None) -> StoredProduct:
    """Reads a row of `PRODUCT_COLUMNS`.

    Args:
        row: The row.
        pattern: Modalities that are embedded.
        digest: Digest of the encoder that embedded it; None where there is no such encoder.

    Raises:
        CatalogueDamagedError: If its checksum differs, or there is no such pattern or encoder.
    """
    *fields, checksum = row
    is_whole = row_checksum(*fields) == checksum
    if not is_whole or pattern not in EMBEDDED_PATTERNS or digest is None:
        raise CatalogueDamagedError(
            f"the stored fields of product {fields[0]!r} are damaged; write it again",
            facts={"product_id": str(fields[0])},
        )
    product_id, title, description, category, brand, seller, price, attributes, *rest = fields
    image_uri, update_time_us = rest
    return StoredProduct(
        record=ProductRecord(
            product_id=product_id,
            title=title,
            description=description,
            category=category,
            brand=brand,
            seller=seller,
            price=price,
            attributes=attributes_from_json(attributes),
            image_uri=image_uri,
        ),
        pattern=Pattern(pattern),
        digest=digest,
        update_time_us=update_time_us,
    )


def product_from_embedded(row: Sequence[Any]) -> StoredProduct:
    """Reads a row of `EMBEDDED_COLUMNS`.

    Raises:
        CatalogueDamagedError: If its checksum differs, or there is no such pattern or encoder.
    """
    *fields, pattern, digest = row
    return product_from_row(fields, pattern, digest)


def attributes_from_json(text: str) -> dict[str, str]:
    """Reads the stored attributes of a product.

    Raises:
        ValueError: If they are damaged.
    """
    if text == _NO_ATTRIBUTES:
        return {}
    attributes = _JSON.raw_decode(text)[0] if isinstance(text, str) else None
    if not isinstance(attributes, dict):
        raise ValueError(f"they must be an object, got {text!r}")
    return attributes


def find_vector_problem(
    blob: bytes, key: tuple[int, int, int], checksum: int, dimension: int | None = None
) -> str | None:
    """Says what is wrong with a stored vector; None when all is well.

    Args:
        blob: The vector, D fp16 numbers.
        key: Numbers of its encoder, its pattern and its version.
        checksum: That of both.
        dimension: D; None where any will do.
    """
    # In a damaged file a value may be of any type.
    if not isinstance(blob, bytes):
        return f"its vector must be bytes, got {type(blob).__name__}"
    size = 2 * (len(blob) // 2 if dimension is None else dimension)
    if len(blob) != size:
        return f"its vector must have {size} bytes, got {len(blob)}"
    if vector_checksum(blob, *key) != checksum:
        return "the checksum of its vector differs"
    if not np.isfinite(np.frombuffer(blob, dtype=np.float16)).all():
        return "its vector is not finite"
    return None


def find_photo_problem(
    half: bytes, photo_number: int, owner_checksum: int, checksum: int
) -> str | None:
    """Says what is wrong with the stored half of a further photo; None when all is well.

    Args:
        half: The embedding of the photo, I fp16 numbers.
        photo_number: Its number, from 1.
        owner_checksum: That of the vector of its product.
        checksum: That of all of these.
    """
    is_whole = isinstance(half, bytes)
    if not is_whole or photo_checksum(half, photo_number, owner_checksum) != checksum:
        return f"the checksum of its further photo {photo_number} differs"
    return None


def is_thumbnail_whole(jpeg: bytes, product_number: int, checksum: int) -> bool:
    """Tells whether a stored thumbnail is as it was written."""
    return isinstance(jpeg, bytes) and thumbnail_checksum(jpeg, product_number) == checksum


def find_damaged_rows(reader: sqlite3.Connection) -> Iterator[tuple[int, str]]:
    """Yields the number of each product of which anything is damaged, and what is wrong."""
    products = reader.execute(
        f"SELECT product_number, change_sequence, checksum, {PRODUCT_FIELDS} FROM products"
    )
    for number, change, checksum, *fields in products:
        if row_checksum(*fields) != checksum:
            yield number, f"the checksum of product {fields[0]!r} differs"
        elif not isinstance(change, int):
            yield number, CHANGE_PROBLEM
    vectors = reader.execute(
        " UNION ALL ".join(
            f"SELECT v.product_number, {VECTOR_COLUMNS} FROM {table} v" for table in VECTOR_TABLES
        )
    )
    for number, *key, checksum, blob in vectors:
        if problem := find_vector_problem(blob, tuple(key), checksum):
            yield number, problem
    photos = reader.execute(
        " UNION ALL ".join(
            "SELECT f.product_number, f.image_vector, f.photo_number, v.checksum, f.checksum "
            f"FROM further_photos f JOIN {table} v USING (product_number, encoder_number)"
            for table in VECTOR_TABLES
        )
    )
    for number, *photo in photos:
        if problem := find_photo_problem(*photo):
            yield number, problem
    thumbnails = reader.execute("SELECT product_number, checksum, jpeg FROM thumbnails")
    for number, checksum, jpeg in thumbnails:
        if not is_thumbnail_whole(jpeg, number, checksum):
            yield number, THUMBNAIL_PROBLEM
    yield from _find_damaged_groups(reader)


def _find_damaged_groups(reader: sqlite3.Connection) -> Iterator[tuple[int, str]]:
    for table in RENEWABLE_TABLES:
        rows = reader.execute(
            f"SELECT product_number FROM {table} WHERE checksum != {CHECKSUMS[table]}"
        )
        yield from ((number, GROUP_PROBLEM) for (number,) in rows)


def find_damaged_events(reader: sqlite3.Connection) -> list[int]:
    """Returns the numbers of the events of groups that are damaged."""
    rows = reader.execute(
        f"SELECT event_number FROM group_events WHERE checksum != {CHECKSUMS['group_events']}"
    )
    return [number for (number,) in rows]
