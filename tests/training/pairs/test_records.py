"""Records as JSON."""

import json

import pytest

from twinshelf.training.catalogues.product import Product
from twinshelf.training.pairs.records import ReceivedRecord, record_from_json, record_to_json

PRODUCT = Product(
    product_id="1",
    title="Чай 500 g",
    description='says "tea"',
    brand="Lipton",
    price=3.5,
    attributes={"цвет": "red"},
)


def test_a_product_comes_back_from_json() -> None:
    received = record_from_json(record_to_json(PRODUCT))
    for name in ("title", "description", "category", "brand", "price", "attributes"):
        assert getattr(received, name) == getattr(PRODUCT, name)


def test_everything_is_optional_and_null_is_absent() -> None:
    assert record_from_json("{}") == ReceivedRecord()
    assert record_from_json('{"price": null, "title": null}') == ReceivedRecord()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "must be a JSON object, got list"),
        ('{"name": "tv"}', "unknown field 'name', known are title,"),
        ('{"title": 5}', "title must be a text, got int"),
        ('{"title": "\\ud800"}', "title must be valid Unicode"),
        ('{"price": "9"}', "price must be a number of zero or more, got '9'"),
        ('{"price": true}', "price must be a number"),
        ('{"price": -1}', "price must be a number"),
        ('{"price": NaN}', "price must be a number"),
        (json.dumps({"price": 10**400}), "price must be a number"),
        ('{"attributes": ["a"]}', "attributes must be an object"),
        ('{"attributes": {"a": 1}}', "attribute 'a' must be a text, got int"),
    ],
)
def test_other_json_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record_from_json(text)
