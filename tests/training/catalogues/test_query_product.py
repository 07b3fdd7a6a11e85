"""Judged searches."""

import pytest

from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.query_product import QueryProduct, Relevance

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


def test_an_empty_query_is_refused() -> None:
    with pytest.raises(ValueError, match="query must not be empty"):
        judged(" ")
