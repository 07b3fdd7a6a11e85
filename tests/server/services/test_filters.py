"""Filters of requests: what is read, and which part is named when it cannot be."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from twinshelf.server.catalogue.product_filter import (
    AllOf,
    AnyOf,
    AttributeIn,
    CategoryUnder,
    FieldIn,
    NoneOf,
    PriceBetween,
)
from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.services.filters import read_filter
from twinshelf.v1.filter_pb2 import Filter


def parsed(text: str) -> Filter:
    return text_format.Parse(text, Filter())


def test_a_tree_is_read_as_it_stands() -> None:
    message = parsed("""
        all_of { filters { category { values: "a/b" values: "c" } }
                 filters { any_of { filters { brand { values: "" } }
                                    filters { price { min: 1 max: 2.5 } } } }
                 filters { none_of { filters { seller { values: "x" } }
                                     filters { attribute { name: "colour" } } } } }
    """)
    assert read_filter(message, "filter") == AllOf(
        filters=(
            CategoryUnder(paths=frozenset({("a", "b"), ("c",)})),
            AnyOf(
                filters=(
                    FieldIn(field="brand", values=frozenset({""})),
                    PriceBetween(least=1, greatest=2.5),
                )
            ),
            NoneOf(
                filters=(
                    FieldIn(field="seller", values=frozenset({"x"})),
                    AttributeIn(name="colour", values=frozenset()),
                )
            ),
        )
    )


def nested(depth: int) -> str:
    text = 'brand { values: "x" }'
    for _ in range(depth - 1):
        text = f"none_of {{ filters {{ {text} }} }}"
    return text


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "filter"),
        ("all_of {}", "filter.all_of.filters"),
        ("any_of { filters {} }", "filter.any_of.filters[0]"),
        (
            'none_of { filters { brand { values: "x" } } filters { seller {} } }',
            "filter.none_of.filters[1].seller.values",
        ),
        ("category {}", "filter.category.values"),
        ('category { values: " / " }', "filter.category.values"),
        ("price {}", "filter.price"),
        ("price { min: 2 max: 1 }", "filter.price"),
        ("price { max: nan }", "filter.price"),
        ('attribute { values: "red" }', "filter.attribute.name"),
        ("brand {" + 'values: "x" ' * 1001 + "}", "filter.brand.values"),
        (
            "any_of {" + 'filters { brand { values: "x" } } ' * 100 + "}",
            "filter.any_of.filters[99]",
        ),
        (nested(9), "filter" + ".none_of.filters[0]" * 8),
        (f'category {{ values: "{"a > " * 65_536}" }}', "filter"),
    ],
)
def test_a_part_that_cannot_be_read_is_named(text: str, field: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        read_filter(parsed(text), "filter")
    assert raised.value.field == field


def test_the_limits_themselves_are_allowed() -> None:
    for text in (
        nested(8),
        "brand {" + 'values: "x" ' * 1000 + "}",
        "any_of {" + 'filters { brand { values: "x" } } ' * 99 + "}",
    ):
        assert read_filter(parsed(text), "filter") is not None
