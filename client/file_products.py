"""Rows of product files as the records that are sent to the service."""

from __future__ import annotations

from twinshelf.client.files.photos import read_photo
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.records import Offer, Product


def photo_bytes(row: ProductRow) -> bytes:
    """Reads the main photo of a row; empty when it has none.

    Raises:
        PhotoError: If the file has become unreadable since the row was read.
    """
    photo = row.main_photo
    if photo is None:
        return b""
    return photo.data or (read_photo(photo.path) if photo.path is not None else b"")


def product_of(row: ProductRow) -> Product:
    """Makes the product to store; its photo is read now.

    Raises:
        PhotoError: If the file has become unreadable since the row was read.
    """
    photo = row.main_photo or (row.photos[0] if row.photos else None)
    return Product(
        product_id=row.product_id,
        title=row.title,
        description=row.description,
        category=row.category,
        brand=row.brand,
        seller=row.seller,
        price=row.price,
        attributes=row.attributes,
        image=photo_bytes(row),
        image_uri=photo.name if photo is not None else "",
    )


def offer_of(row: ProductRow) -> Offer:
    """Makes the offer to match; its photo is read now.

    Raises:
        PhotoError: If the file has become unreadable since the row was read.
    """
    return Offer(
        image=photo_bytes(row),
        title=row.title,
        description=row.description,
        category=row.category,
        brand=row.brand,
        price=row.price,
        attributes=row.attributes,
    )
