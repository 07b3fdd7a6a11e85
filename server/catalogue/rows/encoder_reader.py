"""Reading which encoders have embedded a product, and which products one has not."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import Any

import numpy as np

from twinshelf.server.catalogue.product_record import NO_IMAGES, ProductVector, UnembeddedProduct
from twinshelf.server.catalogue.rows.file_guard import FileGuard
from twinshelf.server.catalogue.rows.stored_rows import (
    EMBEDDED_COLUMNS,
    PRODUCT_TABLES,
    VECTOR_COLUMNS,
    VECTOR_TABLES,
    find_photo_problem,
    find_vector_problem,
    product_from_embedded,
)
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import CatalogueDamagedError


def read_vectors(
    reader: sqlite3.Connection, number: int, product_id: str
) -> dict[str, ProductVector]:
    """Returns what encoders made of a product, by their digests; all of it at one moment.

    Args:
        reader: A connection to the file, in a transaction.
        number: Internal number of the product.
        product_id: Its identifier.

    Raises:
        CatalogueDamagedError: If one of the rows is damaged.
    """
    # All at once: a statement that an error breaks off would go on reading of its moment.
    rows = reader.execute(
        " UNION ALL ".join(
            f"SELECT e.digest, {VECTOR_COLUMNS} FROM {table} v JOIN encoders e "
            "USING (encoder_number) WHERE v.product_number = :number AND v.pattern > 0"
            for table in VECTOR_TABLES
        ),
        {"number": number},
    ).fetchall()
    photos = defaultdict(list)
    for encoder, *photo in reader.execute(
        "SELECT encoder_number, image_vector, photo_number, checksum FROM further_photos "
        "WHERE product_number = ? ORDER BY photo_number",
        (number,),
    ):
        photos[encoder].append(photo)
    vectors = {}
    for digest, encoder, pattern, version, checksum, blob in rows:
        further = photos.get(encoder, [])
        problems = [
            find_vector_problem(blob, (encoder, pattern, version), checksum),
            *(find_photo_problem(half, photo, checksum, own) for half, photo, own in further),
        ]
        if problem := next(filter(None, problems), None):
            raise CatalogueDamagedError(
                f"product {product_id!r} is damaged: {problem}; write it again",
                facts={"product_id": product_id},
            )
        halves = [np.frombuffer(half, dtype=np.float16) for half, *_ in further]
        vectors[digest] = ProductVector(
            digest=digest,
            pattern=Pattern(pattern),
            vector=np.frombuffer(blob, dtype=np.float16),
            further_images=np.stack(halves) if halves else NO_IMAGES,
        )
    return vectors


def read_unembedded(
    reader: sqlite3.Connection, guard: FileGuard, number: int, digest: str, count: int
) -> list[UnembeddedProduct]:
    """Returns products that an encoder has not embedded, without the damaged ones.

    Args:
        reader: A connection to the file.
        guard: Sets damaged products aside.
        number: Products of higher internal numbers are returned, by rising number.
        digest: Digest of the encoder.
        count: Most products.
    """
    found: list[UnembeddedProduct] = []
    while (wanted := count - len(found)) > 0:  # however many damaged ones come one after another
        rows = _select_unembedded(reader, number, digest, wanted)
        for product_number, change_sequence, further_count, *fields in rows:
            try:
                product = product_from_embedded(fields)
            except CatalogueDamagedError as error:
                guard.set_aside(product_number, error.message)
                continue
            found.append(
                UnembeddedProduct(
                    product_number=product_number,
                    product=product,
                    further_count=further_count,
                    change_sequence=change_sequence,
                )
            )
        if len(rows) < wanted:
            break
        number = rows[-1][0]
    return found


def _select_unembedded(
    reader: sqlite3.Connection, number: int, digest: str, count: int
) -> list[tuple[Any, ...]]:
    asked = "(SELECT encoder_number FROM encoders WHERE digest = :digest)"
    return reader.execute(
        "SELECT v.product_number, p.change_sequence, (SELECT count(*) FROM further_photos f "
        "WHERE f.product_number = v.product_number "
        f"AND f.encoder_number = coalesce(b.encoder_number, v.encoder_number)), {EMBEDDED_COLUMNS} "
        f"FROM {PRODUCT_TABLES} WHERE v.product_number > :number "
        f"AND v.encoder_number IS NOT {asked} AND NOT EXISTS ("
        "SELECT 1 FROM vectors_beside a WHERE a.product_number = v.product_number "
        f"AND a.encoder_number = {asked} AND a.pattern > 0) "
        "ORDER BY v.product_number LIMIT :count",
        {"number": number, "digest": digest, "count": count},
    ).fetchall()
