"""Filters in the language of Milvus mean what they say of a product."""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest

from tests.server.catalogue.random_facets import random_filter, random_record
from twinshelf.server.catalogue.milvus.facet_tokens import (
    expression_without,
    facet_tokens,
    filter_expression,
    stored_price,
    value_of,
)
from twinshelf.server.catalogue.product_filter import (
    AllOf,
    AnyOf,
    NoneOf,
    PriceBetween,
    is_allowed,
)
from twinshelf.server.catalogue.product_record import ProductRecord


def holds(expression: str, record: ProductRecord) -> bool:
    """Evaluates an expression of Milvus, as Python that reads the same."""
    tokens = set(facet_tokens(record))
    python = re.sub(r"array_contains_any\(facets, (\[.*?\])\)", r"any_of(\1)", expression)
    names = {"any_of": lambda wanted: bool(tokens & set(wanted)), "number": 1}
    return bool(eval(python, {**names, "price": stored_price(record)}))


@pytest.mark.slow
def test_a_filter_allows_the_same_products() -> None:
    rng = np.random.default_rng(3)
    records = [random_record(rng, f"p{number}") for number in range(60)]
    for _ in range(200):
        condition = random_filter(rng)
        expression = filter_expression(condition)
        for record in records:
            assert holds(expression, record) == is_allowed(record, condition), condition


def test_nothing_to_hold_holds_and_nothing_to_choose_does_not() -> None:
    record = ProductRecord(product_id="p", price=2)
    for condition in (
        AllOf(filters=()),
        AnyOf(filters=()),
        PriceBetween(),
        PriceBetween(greatest=1),
        PriceBetween(least=3, greatest=2),
        PriceBetween(least=float("inf")),
    ):
        assert holds(filter_expression(condition), record) == is_allowed(record, condition)


def test_a_full_value_is_left_out_and_others_stay() -> None:
    big = ProductRecord(product_id="p", seller="big", attributes={"colour": "red"})
    other = ProductRecord(product_id="q", seller="other")
    assert (value_of(big, "seller"), value_of(big, "attributes.colour")) == ("big", "red")
    assert value_of(other, "attributes.colour") == ""
    for field, value in (("seller", "big"), ("attributes.colour", "red")):
        expression = expression_without(field, [value])
        assert not holds(expression, big)
        assert holds(expression, other)


@pytest.mark.parametrize("kind", [AllOf, AnyOf, NoneOf])
def test_no_more_than_two_conditions_stand_in_a_row(
    kind: type[AllOf] | type[AnyOf] | type[NoneOf],
) -> None:
    conditions = tuple(PriceBetween(least=float(number)) for number in range(99))
    expression = filter_expression(kind(filters=conditions))
    chains = [n for n in ast.walk(ast.parse(expression)) if isinstance(n, ast.BoolOp)]
    assert len(chains) == len(conditions) - 1
    assert {len(chain.values) for chain in chains} == {2}
    record = ProductRecord(product_id="p", price=0.5)
    assert holds(expression, record) == is_allowed(record, kind(filters=conditions))
