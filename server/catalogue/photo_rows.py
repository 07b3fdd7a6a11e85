"""Writing what is kept of the photos of a product. Each function needs a transaction."""

from __future__ import annotations

import sqlite3

from twinshelf.server.catalogue.product_record import NewProduct, StoredVectors
from twinshelf.server.catalogue.schema import photo_checksum, thumbnail_checksum


def has_other_photos(writer: sqlite3.Connection, product: NewProduct, old: StoredVectors) -> bool:
    """Tells whether a product has other photos after the first than those that are stored."""
    if len(product.further_images) != old.further_count:
        return True
    if old.further_count == 0:
        return False
    stored = writer.execute(
        "SELECT image_vector FROM further_photos WHERE product_number = ? ORDER BY photo_number",
        (old.product_number,),
    )
    return [half for (half,) in stored] != [image.tobytes() for image in product.further_images]


def add_photos(
    writer: sqlite3.Connection, product: NewProduct, number: int, checksum: int
) -> tuple[int, ...]:
    """Stores the photos after the first.

    Args:
        writer: The writing connection.
        product: The product.
        number: Its internal number.
        checksum: That of its vector.

    Returns:
        The checksums of the vector and of each of these photos.
    """
    if len(product.further_images) == 0:
        return (checksum,)
    rows = []
    for photo, image in enumerate(product.further_images, start=1):
        half = image.tobytes()
        rows.append((number, photo, half, photo_checksum(half, photo, checksum)))
    writer.executemany("INSERT INTO further_photos VALUES (?, ?, ?, ?)", rows)
    return (checksum, *(row[-1] for row in rows))


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
