"""Judged searches."""

import pytest

from training.preprocessing.settings import PreprocessingSettings
from training.product import Product
from training.query_product import QueryProduct, Relevance, passage_text, query_text

PRODUCT = Product(product_id="B1", title="Cable <b>USB</b>", brand="Anker")


def test_query_and_passage_get_their_prefixes():
    settings = PreprocessingSettings(query_prefix="query: ", passage_prefix="passage: ")
    pair = QueryProduct(query=" usb&amp;c  cable ", product=PRODUCT, label=Relevance.EXACT)
    assert query_text(pair, settings) == "query: usb&c cable"
    assert passage_text(pair, settings) == "passage: Cable USB | Anker"


def test_better_labels_gain_more():
    assert [label.gain for label in Relevance] == [1.0, 0.1, 0.01, 0.0]


def test_an_empty_query_is_refused():
    with pytest.raises(ValueError, match="query must not be empty"):
        QueryProduct(query=" ", product=PRODUCT, label=Relevance.EXACT)
