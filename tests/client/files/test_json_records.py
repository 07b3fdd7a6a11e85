"""What JSON nests: prices of offers and variants, and lists that follow one another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.client.files.tables import read, write


@pytest.mark.parametrize(
    "told",
    [
        {"offers": [{"@type": "Offer", "price": "12.50"}]},
        {"offers": {"@type": "AggregateOffer", "lowPrice": "12.50", "highPrice": 19}},
        {"offers": {"@type": "AggregateOffer", "offers": [{"price": 12.5}, {"price": 14}]}},
        {"offers": {"priceSpecification": [{"price": 12.5, "priceCurrency": "EUR"}]}},
        {"price": [{"amount": "12.50", "currency": "EUR"}, {"amount": "14", "currency": "USD"}]},
        {"prices": [{"currency": "EUR", "value": "12.50"}]},
        {"variants": [{"id": 5, "title": "Default", "price": "12.50"}]},
        {"skus": [{"sku_id": 5, "price": 12.5}]},
        {"variations": [{"colour": "red", "price": 12.5}]},
        {"variants": {"edges": [{"node": {"id": 5, "price": "12.50"}}]}},
        {"variants": {"nodes": [{"price": "12.50"}]}},
        {"values": {"price": [{"scope": None, "data": [{"amount": "12.50", "currency": "EUR"}]}]}},
    ],
)
def test_prices_are_found_where_they_are_nested(tmp_path: Path, told: dict[str, object]) -> None:
    products = [{"sku": f"a{n}", "name": f"Mug {n}", **told} for n in (1, 2)]
    rows, bad, findings = read(write(tmp_path, json.dumps(products), "t.json"))
    found = [(row.product_id, row.title, row.price) for row in rows]
    assert found == [("a1", "Mug 1", 12.5), ("a2", "Mug 2", 12.5)] and not bad + findings


def test_each_product_may_nest_its_price_in_another_way(tmp_path: Path) -> None:
    offers = [{"price": 3}, {"lowPrice": "7.50", "highPrice": 9}, [{"price": 4}], {"url": "x"}]
    products = [{"sku": n, "name": "Mug", "offers": each} for n, each in enumerate(offers)]
    rows, _, _ = read(write(tmp_path, json.dumps(products), "t.json"))
    assert [row.price for row in rows] == [3, 7.5, 4, None]


def test_values_of_akeneo_are_read(tmp_path: Path) -> None:
    values = {
        "name": [{"locale": "en_US", "scope": None, "data": "Mug"}],
        "price": [{"locale": None, "data": [{"amount": "5.00", "currency": "EUR"}]}],
    }
    items = [{"identifier": f"a{n}", "enabled": True, "values": values} for n in (1, 2)]
    answer = {"_links": {"self": {"href": "x"}}, "_embedded": {"items": items}}
    rows, _, _ = read(write(tmp_path, json.dumps(answer), "t.json"))
    assert [(row.product_id, row.title, row.price) for row in rows] == [
        ("a1", "Mug", 5),
        ("a2", "Mug", 5),
    ]
