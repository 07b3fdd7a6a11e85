"""The assortment: distinct products, families of near-duplicates, an honest limit."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import pytest

from tests.generated_catalogue.assortment import Item, assemble_assortment


def _identity(item: Item) -> tuple[str, str, str, str, str]:
    return (
        item.brand.name,
        item.line,
        item.kind.english,
        item.variant.english,
        item.size.printed("en"),
    )


def test_no_two_products_are_the_same() -> None:
    items = assemble_assortment(2000, seed=1)
    assert len({_identity(item) for item in items}) == 2000
    assert [item.number for item in items] == list(range(2000))


def test_a_longer_assortment_begins_like_a_shorter_one() -> None:
    assert assemble_assortment(300, seed=2)[:100] == assemble_assortment(100, seed=2)


@pytest.mark.parametrize("position", [0, 3, 4], ids=["brand", "variant", "size"])
def test_some_products_differ_in_one_thing_only(position: int) -> None:
    identities = [_identity(item) for item in assemble_assortment(250, seed=42)]
    rest = Counter(identity[:position] + identity[position + 1 :] for identity in identities)
    assert sum(count > 1 for count in rest.values()) >= 5


def test_twins_of_another_brand_share_the_design() -> None:
    items = assemble_assortment(250, seed=42)
    designs = {(item.line, item.kind.english, item.design): set[str]() for item in items}
    for item in items:
        designs[item.line, item.kind.english, item.design].add(item.brand.name)
    assert any(len(brands) == 2 for brands in designs.values())


def test_every_kind_occurs_in_a_demo_sized_assortment() -> None:
    items = assemble_assortment(250, seed=42)
    assert len({item.kind.english for item in items}) == 20
    assert {field.name for field in fields(Item)} >= {"brand", "kind", "variant", "size"}


@pytest.mark.slow
def test_more_products_than_can_be_made_are_refused() -> None:
    with pytest.raises(ValueError, match="product_count must be at most"):
        assemble_assortment(10**7, seed=1)
