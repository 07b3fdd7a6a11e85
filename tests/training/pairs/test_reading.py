"""A record read once."""

import math

from training.pairs.reading import TEXT_CHARACTERS, TITLE_CHARACTERS, RecordReading
from training.product import Product


def test_all_text_is_read_and_the_price_may_be_unknown():
    reading = RecordReading.of(
        Product(product_id="1", title="Sony II", brand="Sony", attributes={"Model": "DSC-W1"})
    )
    assert reading.text == "Sony II Sony DSC-W1"
    assert reading.title_forms == ["sony", "2"]
    assert reading.text_codes == {"dscw1"} and not reading.title_codes
    assert reading.attributes == {"model": "dscw1"}
    assert math.isnan(reading.price)


def test_a_record_without_title_is_read_by_its_text():
    reading = RecordReading.of(Product(product_id="1", description="red tea"))
    assert reading.title == "red tea"


def test_very_long_texts_are_read_from_their_beginning():
    reading = RecordReading.of(Product(product_id="1", title="a" * 9999, description="b" * 9999))
    assert len(reading.title) == TITLE_CHARACTERS
    assert len(reading.text) == TEXT_CHARACTERS


def test_tokens_are_all_that_is_weighed():
    tokens = RecordReading.of(Product(product_id="1", title="Sony II x170")).tokens()
    assert {"sony", "ii", "2", "x170", "170", " sony"} <= tokens
