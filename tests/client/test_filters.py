"""Filters of the client: the text of a condition, and the message that is made of a tree."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from twinshelf.client.conversions import filter_to_message
from twinshelf.client.filters import (
    AllOf,
    AnyOf,
    AttributeIn,
    FieldIn,
    NoneOf,
    PriceBetween,
    ProductFilter,
    read_condition,
)
from twinshelf.v1.filter_pb2 import Filter


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("category=Grocery/Coffee", FieldIn(field="category", values=("Grocery/Coffee",))),
        ("brand=Acme, Inc. | Globex", FieldIn(field="brand", values=("Acme, Inc.", "Globex"))),
        ("seller!=a|b", NoneOf(filters=(FieldIn(field="seller", values=("a", "b")),))),
        ("brand=", FieldIn(field="brand", values=("",))),
        ("price<=10", PriceBetween(greatest=10)),
        ("price>=2.5", PriceBetween(least=2.5)),
        ("attributes.colour=red", AttributeIn(name="colour", values=("red",))),
        ("attributes.a b!=x=y", NoneOf(filters=(AttributeIn(name="a b", values=("x=y",)),))),
    ],
)
def test_a_condition_is_read(text: str, condition: ProductFilter) -> None:
    assert read_condition(text) == condition


@pytest.mark.parametrize(
    "text", ["", "colour=red", "category", "price=10", "price<=cheap", "brand<=x", "attributes.=x"]
)
def test_a_text_that_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must|are for"):
        read_condition(text)


def test_a_tree_becomes_a_message() -> None:
    condition = AllOf(
        filters=(
            AnyOf(filters=(FieldIn(field="category", values=("a/b", "c")),)),
            NoneOf(filters=(FieldIn(field="brand", values=("x",)), PriceBetween(least=1))),
            AttributeIn(name="colour"),
        )
    )
    expected = """
        all_of { filters { any_of { filters { category { values: "a/b" values: "c" } } } }
                 filters { none_of { filters { brand { values: "x" } }
                                     filters { price { min: 1 } } } }
                 filters { attribute { name: "colour" } } }
    """
    assert filter_to_message(condition) == text_format.Parse(expected, Filter())
