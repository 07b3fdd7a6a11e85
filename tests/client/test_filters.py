"""Filters of the client: the text of a condition, and the message that is made of a tree."""

from __future__ import annotations

from dataclasses import replace

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
        ("price >= 2.5", PriceBetween(least=2.5)),
        ("attributes.colour=red", AttributeIn(name="colour", values=("red",))),
        ("attributes.a b!=x=y", NoneOf(filters=(AttributeIn(name="a b", values=("x=y",)),))),
    ],
)
def test_a_condition_is_read(text: str, condition: ProductFilter) -> None:
    assert read_condition(text) == condition


@pytest.mark.parametrize(
    "text",
    [
        *("", "colour=red", "category", "price=10", "price<10", "price<=cheap", "brand<=x"),
        *("brand>x", "attributes.=x"),
    ],
)
def test_a_text_that_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must|are for"):
        read_condition(text)


def test_a_field_or_values_that_no_filter_has_are_refused() -> None:
    with pytest.raises(ValueError, match="field must be one of category, brand, seller, got 'tit"):
        FieldIn(field="title", values=("x",))  # type: ignore[arg-type]
    for kind in (FieldIn(field="brand", values=()), AttributeIn(name="colour")):
        with pytest.raises(ValueError, match="values must be a tuple of texts, got the text 'red'"):
            replace(kind, values="red")  # type: ignore[arg-type]


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
