"""What is to be grouped next: nothing is taken for gone that is only not shown."""

from __future__ import annotations

from typing import Any

import pytest

from twinshelf.server.catalogue.milvus.group_pending import PendingProducts
from twinshelf.server.catalogue.milvus.group_rows import GroupedProduct, GroupState, note_row
from twinshelf.server.catalogue.milvus.product_rows import ProductRow, product_key
from twinshelf.server.catalogue.product_record import ProductRecord
from twinshelf.server.errors import CatalogueUnavailableError

GROUPED = GroupedProduct(number=1, product_id="p")


class Noted:
    """A Milvus with the note of one product, and such rows of products as it shows."""

    products, groups = "products", "groups"

    def __init__(self, shown: dict[str, ProductRow]) -> None:
        self.shown = shown

    def timestamps(self) -> list[int]:
        return [1 << 40]

    def count(self, *_: object, **__: object) -> int:
        return 0

    def query(self, collection: str, *_: object, **__: object) -> list[dict[str, Any]]:
        return [note_row(GROUPED)] if collection == self.groups else []

    def rows(self, _: list[str]) -> dict[str, ProductRow]:
        return self.shown

    def by_key(self, _: object) -> dict[str, list[GroupedProduct]]:
        return {}


def pending(shown: dict[str, ProductRow]) -> list[int]:
    """Returns the numbers of the products that are said to be gone."""
    milvus: Any = Noted(shown)
    batch = PendingProducts(milvus, milvus, milvus, milvus, 0.0).read(GroupState(), 7, 64)
    return [each.product for each in batch.products if each.pattern is None] if batch else []


def test_a_product_leaves_its_group_where_it_was_deleted_and_not_where_it_is_not_shown() -> None:
    record = ProductRecord(product_id="p")
    deleted = ProductRow(number=1, change=2, record=record, is_deletion=True)
    assert pending({product_key("p"): deleted}) == [1]
    with pytest.raises(CatalogueUnavailableError, match="not read all"):
        pending({})
