"""Rows of product files as the records that are sent to the service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from twinshelf.client.files.product_row import Photo, ProductRow
from twinshelf.client.files.values.photos import PhotoError, read_photo
from twinshelf.client.records import Offer, Product, ProductUpdate

UPDATED_FIELDS = (
    *("title", "description", "category", "brand", "seller", "price", "attributes"),
    "image",
)


# What the service takes of one product unless told otherwise, all photos together.
_MOST_PHOTO_BYTES = 8 * 1024 * 1024


def photo_bytes(row: ProductRow) -> bytes:
    """Reads the main photo of a row; empty when it has none.

    Raises:
        PhotoError: If the file has become unreadable since the row was read.
    """
    return b"" if row.main_photo is None else _bytes_of(row.main_photo)


def _bytes_of(photo: Photo) -> bytes:
    return photo.data or (read_photo(photo.path) if photo.path is not None else b"")


def _further_photos(row: ProductRow, count: int, size_bytes: int) -> Iterator[bytes]:
    """Yields photos after the main one; what cannot be read, or would be too much, is left out.

    Args:
        row: The row.
        count: Most of them.
        size_bytes: That of the main one.
    """
    for photo in row.readable_photos[1 : 1 + count]:
        try:
            data = _bytes_of(photo)
        except PhotoError:
            continue
        size_bytes += len(data)
        if size_bytes > _MOST_PHOTO_BYTES:
            return
        yield data


def product_of(row: ProductRow, photo_count: int = 1) -> Product:
    """Makes the product to store; its photos are read now.

    Args:
        row: The row.
        photo_count: Most photos, 1 or more.

    Raises:
        PhotoError: If the main photo has become unreadable since the row was read.
    """
    photo = row.main_photo or (row.photos[0] if row.photos else None)
    image = photo_bytes(row)
    return Product(
        product_id=row.product_id,
        title=row.title,
        description=row.description,
        category=row.category,
        brand=row.brand,
        seller=row.seller,
        price=row.price,
        attributes=row.attributes,
        image=image,
        further_images=tuple(_further_photos(row, photo_count - 1, len(image))),
        image_uri=photo.name if photo is not None else "",
    )


def read_updated_fields(text: str) -> tuple[str, ...]:
    """Reads the fields that rows change, such as "price,attributes.stock".

    Raises:
        ValueError: If the text names one that there is not.
    """
    fields = tuple(filter(None, (each.strip() for each in text.split(","))))
    for field in fields:
        if field not in UPDATED_FIELDS and not (
            field.startswith("attributes.") and field != "attributes."
        ):
            known = ", ".join(UPDATED_FIELDS)
            raise ValueError(f"--update takes {known} and attributes.NAME, got {field!r}")
    return fields


def update_of(row: ProductRow, fields: Sequence[str], photo_count: int = 1) -> ProductUpdate:
    """Makes the update of the fields for which a row has a value; its photo is read now.

    Empty cells leave what is stored, so that a file with gaps does no harm. Attributes that the row
    does not have stay, too; so do further photos, unless more than one is wanted.

    Raises:
        PhotoError: If a photo that is wanted has become unreadable since the row was read.
    """
    changed = row.fields_with_value(fields)
    has_image = "image" in changed
    if has_image:
        changed += ["image_uri", "further_images"] if photo_count > 1 else ["image_uri"]
    product = product_of(row if has_image else replace(row, photos=()), photo_count)
    return ProductUpdate(product=product, fields=tuple(changed))


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
        product_id=row.product_id,
        seller=row.seller,
    )
