"""The product record."""

import math
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import Product


def test_only_an_identifier_is_required() -> None:
    product = Product(product_id="1")
    assert (product.title, product.price, product.images, product.group) == ("", None, (), "")
    assert dict(product.attributes) == {}


def test_an_empty_identifier_is_refused() -> None:
    with pytest.raises(ValueError, match="product_id must not be empty"):
        Product(product_id="")


@pytest.mark.parametrize("price", [-0.01, math.nan, math.inf])
def test_a_price_that_is_none_is_refused(price: float) -> None:
    with pytest.raises(ValueError, match="price must be zero or more"):
        Product(product_id="1", price=price)


def test_a_price_of_zero_is_a_price() -> None:
    assert Product(product_id="1", price=0.0).price == 0


def test_products_cannot_be_changed() -> None:
    product: Any = Product(product_id="1")
    with pytest.raises(FrozenInstanceError):
        product.title = "x"
    with pytest.raises(TypeError):
        product.attributes["a"] = "b"


def test_a_bad_row_reads_as_a_sentence() -> None:
    row = BadRow(source="t.csv", row_number=3, reason="price must be a number")
    assert str(row) == "t.csv, row 3: price must be a number"
