"""Writing what is kept of the photos of a product. Each function needs a transaction."""

from __future__ import annotations

import sqlite3

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.product_record import NewProduct
from twinshelf.server.catalogue.rows.schema import photo_checksum, thumbnail_checksum


def has_photos(
    writer: sqlite3.Connection,
    number: int,
    encoder_number: int,
    images: npt.NDArray[np.float16],
    checksum: int,
) -> bool:
    """Tells whether the photos after the first that are stored are just these, and whole.

    Args:
        writer: The writing connection.
        number: Internal number of the product.
        encoder_number: Number of the encoder that made the embeddings.
        images: (P, I) the embeddings.
        checksum: That of the vector of the product by this encoder.
    """
    if len(images) == 0:
        return True
    stored = writer.execute(
        "SELECT image_vector, checksum FROM further_photos "
        "WHERE product_number = ? AND encoder_number = ? ORDER BY photo_number",
        (number, encoder_number),
    )
    return stored.fetchall() == _photo_rows(images, checksum)


def add_photos(
    writer: sqlite3.Connection,
    number: int,
    encoder_number: int,
    images: npt.NDArray[np.float16],
    checksum: int,
) -> tuple[int, ...]:
    """Stores the photos after the first, where none are.

    Args:
        writer: The writing connection.
        number: Internal number of the product.
        encoder_number: Number of the encoder that made the embeddings.
        images: (P, I) the embeddings.
        checksum: That of the vector of the product by this encoder.

    Returns:
        The checksums of the vector and of each of these photos.
    """
    if len(images) == 0:
        return (checksum,)
    rows = _photo_rows(images, checksum)
    writer.executemany(
        "INSERT INTO further_photos "
        "(product_number, encoder_number, photo_number, image_vector, checksum) "
        "VALUES (?, ?, ?, ?, ?)",
        [(number, encoder_number, photo, *row) for photo, row in enumerate(rows, start=1)],
    )
    return (checksum, *(photo_sum for _, photo_sum in rows))


def _photo_rows(images: npt.NDArray[np.float16], checksum: int) -> list[tuple[bytes, int]]:
    """Returns each photo (P, I) as it is stored, with its checksum."""
    halves = [image.tobytes() for image in images]
    return [(half, photo_checksum(half, n, checksum)) for n, half in enumerate(halves, start=1)]


def remove_photos(writer: sqlite3.Connection, number: int, encoder_number: int) -> None:
    """Removes what an encoder made of the photos of a product after the first."""
    writer.execute(
        "DELETE FROM further_photos WHERE product_number = ? AND encoder_number = ?",
        (number, encoder_number),
    )


def write_thumbnail(
    writer: sqlite3.Connection, product: NewProduct, number: int, *, is_new: bool
) -> None:
    """Stores the thumbnail of a product in the place of another, or removes that.

    Args:
        writer: The writing connection.
        product: The product.
        number: Its internal number.
        is_new: Whether nothing is stored of it yet.
    """
    if product.thumbnail:
        # An equal one is not written anew.
        writer.execute(
            "INSERT INTO thumbnails VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
            "(checksum, jpeg) = (excluded.checksum, excluded.jpeg) "
            "WHERE jpeg != excluded.jpeg OR checksum != excluded.checksum",
            (number, thumbnail_checksum(product.thumbnail, number), product.thumbnail),
        )
    elif product.thumbnail is not None and not is_new:
        writer.execute("DELETE FROM thumbnails WHERE product_number = ?", (number,))
