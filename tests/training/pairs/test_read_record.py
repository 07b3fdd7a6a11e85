"""A record read once."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from twinshelf.training.catalogues.product import Product
from twinshelf.training.pairs.read_record import (
    TEXT_CHARACTERS,
    TITLE_CHARACTERS,
    RecordReading,
    pair_tokens,
)
from twinshelf.training.pairs.statistics import TokenStatistics


@pytest.fixture(scope="module")
def read() -> Callable[..., Any]:
    statistics = TokenStatistics.count([["sony", "2"], ["sony"]])
    return lambda **fields: RecordReading.of(Product(product_id="1", **fields), statistics)


def test_all_text_is_read_and_the_price_may_be_unknown(read: Callable[..., Any]) -> None:
    reading = read(title="Sony II", brand="Sony", attributes={"Model": "DSC-W1"})
    assert reading.text.compact == "sonyiisonydscw1"
    assert list(reading.form_rarity) == ["sony", "2"]
    assert reading.form_rarity["sony"] < reading.form_rarity["2"]
    assert reading.text.codes == {"dscw1"} and not reading.title.codes
    assert reading.attributes == {"model": "dscw1"}
    assert math.isnan(reading.price)


def test_a_record_without_title_is_read_by_its_text(read: Callable[..., Any]) -> None:
    reading = read(description="red tea")
    assert reading.title is reading.text and reading.title.compact == "redtea"


def test_very_long_texts_are_read_from_their_beginning(read: Callable[..., Any]) -> None:
    reading = read(title="a" * 9999, description="b" * 9999)
    assert len(reading.title.compact) == TITLE_CHARACTERS
    assert len(reading.text.compact) == TEXT_CHARACTERS


def test_tokens_are_all_that_is_weighed() -> None:
    tokens = pair_tokens(Product(product_id="1", title="Sony II x170"))
    assert {"sony", "ii", "2", "x170", "170", " sony"} <= tokens
