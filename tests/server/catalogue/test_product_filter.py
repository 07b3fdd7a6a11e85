"""What a condition says of one product, with fields that are missing."""

from __future__ import annotations

import pytest

from twinshelf.server.catalogue.product_filter import (
    AllOf,
    AnyOf,
    AttributeIn,
    CategoryUnder,
    FieldIn,
    NoneOf,
    PriceBetween,
    ProductFilter,
    category_path,
    is_allowed,
)
from twinshelf.server.catalogue.product_record import ProductRecord

MUG = ProductRecord(
    product_id="mug",
    category="Kitchen / Mugs > Large",
    brand="Acme",
    price=9.5,
    attributes={"colour": "blue"},
)
BARE = ProductRecord(product_id="bare")
CHEAP = PriceBetween(greatest=10)


def under(*categories: str) -> CategoryUnder:
    return CategoryUnder(paths=frozenset(map(category_path, categories)))


def brand(*values: str) -> FieldIn:
    return FieldIn(field="brand", values=frozenset(values))


def colour(*values: str) -> AttributeIn:
    return AttributeIn(name="colour", values=frozenset(values))


@pytest.mark.parametrize(
    ("condition", "takes_mug", "takes_bare"),
    [
        (under("Kitchen"), True, False),
        (under("Kitchen/Mugs/Large"), True, False),
        (under("Garden", "Kitchen>Mugs"), True, False),
        (under("Kitchen/Mug"), False, False),
        (under("kitchen"), False, False),
        (under("Kitchen/Mugs/Large/Blue"), False, False),
        (brand("Acme", "Globex"), True, False),
        (brand(""), False, True),
        (FieldIn(field="seller", values=frozenset({""})), True, True),
        (PriceBetween(least=9.5, greatest=9.5), True, False),
        (PriceBetween(least=9.6), False, False),
        (colour("red", "blue"), True, False),
        (colour("red"), False, False),
        (colour(), True, False),
        (NoneOf(filters=(CHEAP,)), False, True),
        (NoneOf(filters=(brand("Globex"), colour("red"))), True, True),
        (AllOf(filters=(CHEAP, colour("red"))), False, False),
        (AnyOf(filters=(brand(""), colour("blue"))), True, True),
    ],
)
def test_a_condition_holds_for_the_products_that_it_describes(
    condition: ProductFilter, takes_mug: bool, takes_bare: bool
) -> None:
    assert is_allowed(MUG, condition) == takes_mug
    assert is_allowed(BARE, condition) == takes_bare


def test_a_category_has_no_empty_levels() -> None:
    assert category_path(" / Kitchen //Mugs> ") == ("Kitchen", "Mugs")
    assert category_path("") == ()


def test_a_category_has_64_levels_at_most() -> None:
    assert len(category_path("a/" * 8000)) == 64
