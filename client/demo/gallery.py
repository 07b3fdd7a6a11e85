"""The gallery in the catalogue: its products are stored and no others; what is there stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from twinshelf.client.demo.held_out import DemoError
from twinshelf.client.file_products import product_of
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import PREPARED_OPTIONS, ProductFiles
from twinshelf.client.records import Product
from twinshelf.client.sync_client import Client

DELETED_AT_A_TIME = 10_000


def store_gallery(client: Client, gallery: Path) -> str:
    """Makes the catalogue hold the products of a table and no others.

    Products that the serving encoder embedded and whose fields are those of the table are left as
    they are.

    Args:
        client: Of the service.
        gallery: The table.

    Returns:
        What was done, in words.

    Raises:
        DemoError: If the service refuses a product.
        ProductFileError: If the table cannot be read.
        TwinshelfError: If the service fails as a whole.
    """
    stored = {each.product_id: _as_stored(each) for each in client.list_all()}
    wanted = {
        row.product_id: _as_stored(product_of(replace(row, photos=())))
        for row in ProductFiles([gallery], PREPARED_OPTIONS).rows()
        if isinstance(row, ProductRow)
    }
    surplus = [product_id for product_id in stored if product_id not in wanted]
    for start in range(0, len(surplus), DELETED_AT_A_TIME):
        client.delete(surplus[start : start + DELETED_AT_A_TIME])
    is_stale = client.stats().stale_product_count > 0
    same = {key for key, each in wanted.items() if stored.get(key) == each and not is_stale}
    if len(same) == len(wanted):
        return "unchanged"
    for answer in client.upsert(_products_but(gallery, same)):
        if answer.error is not None:
            raise DemoError(f"{answer.product_id} was refused: {answer.error.message}")
    return f"{len(wanted) - len(same):,} products stored"


def _products_but(gallery: Path, same: set[str]) -> Iterator[Product]:
    for row in ProductFiles([gallery], PREPARED_OPTIONS).rows():
        if isinstance(row, ProductRow) and row.product_id not in same:
            yield product_of(row)


def _as_stored(product: Product) -> Product:
    """Returns a product without what only one of table and service knows of it."""
    return replace(product, image=b"", image_uri="", pattern="none", update_time=None)
