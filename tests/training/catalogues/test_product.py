"""The product record."""

import math
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import (
    PrecomputedProduct,
    Product,
    QueryProduct,
    Relevance,
)


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


def make(**fields: Any) -> PrecomputedProduct:
    values = {
        "product_id": "1",
        "name_vector": np.ones(3, np.float32),
        "main_pictures": np.ones((1, 4), np.float32),
        "further_pictures": np.zeros((2, 4), np.float32),
    }
    return PrecomputedProduct(**(values | fields))


def test_the_main_picture_comes_first() -> None:
    assert make().pictures.tolist() == [[1.0] * 4, [0.0] * 4, [0.0] * 4]
    none = np.zeros((0, 4), np.float32)
    assert make(further_pictures=none).pictures.tolist() == [[1.0] * 4]
    assert make(main_pictures=none).pictures.shape == (2, 4)


PRODUCT = Product(product_id="B1", title="Cable USB", brand="Anker")


def judged(query: str, locale: str = "") -> QueryProduct:
    return QueryProduct(query=query, product=PRODUCT, label=Relevance.EXACT, locale=locale)


def test_case_and_blanks_make_no_other_query_and_a_country_does() -> None:
    assert judged("USB  Cable").query_id == judged(" usb cable").query_id
    assert judged("usb cable", "us").query_id != judged("usb cable", "es").query_id
    assert judged("usb cable").query_id != judged("usb cables").query_id


def test_a_query_is_an_offer_with_a_title_only() -> None:
    offer = judged("USB cable", "us").offer
    assert offer == Product(product_id="query us: usb cable", title="USB cable")


def test_better_labels_gain_more() -> None:
    assert [label.gain for label in Relevance] == [1.0, 0.1, 0.01, 0.0]
