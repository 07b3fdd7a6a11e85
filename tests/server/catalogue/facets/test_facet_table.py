"""The table of facets against asking every product, whatever was written, replaced and removed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.server.catalogue.random_facets import random_filter, random_record
from twinshelf.server.catalogue.facets import attribute_table
from twinshelf.server.catalogue.facets.facet_table import Facets, FacetTable
from twinshelf.server.catalogue.product_filter import AttributeIn, PriceBetween, is_allowed
from twinshelf.server.catalogue.product_record import ProductRecord


def allowed_numbers(table: FacetTable, numbers: list[int], condition: object) -> set[int]:
    allowed = table.allow(condition)  # type: ignore[arg-type]
    rows = allowed.find_rows(np.array(numbers))
    found = {n for n, row in zip(numbers, rows, strict=True) if allowed.mask.take(row, mode="clip")}
    assert allowed.count == len(found)
    return found


def changed_table(rng: np.random.Generator) -> tuple[FacetTable, dict[int, ProductRecord]]:
    """Makes a table by many changes, and what it must hold."""
    table = FacetTable()
    expected: dict[int, ProductRecord] = {}
    last = 0
    for _ in range(40):
        changes: dict[int, ProductRecord | None] = {}
        for _ in range(10):
            last += int(rng.integers(1, 4))
            changes[last] = random_record(rng, f"p{last}")
        for number in rng.choice([*expected, last], size=8).tolist():
            changes[number] = None if rng.random() < 0.4 else random_record(rng, f"p{number}")
            if number not in expected and number != last:
                del changes[number]
        table.change(changes)
        for number, record in changes.items():
            if record is None:
                expected.pop(number, None)
            else:
                expected[number] = record
    return table, expected


@pytest.mark.slow
def test_filters_allow_what_asking_every_product_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribute_table, "_LEAST_GONE", 50)  # so that gone ones are dropped often
    monkeypatch.setattr(attribute_table, "_LOWEST_BITS", 2)  # so that many share them
    rng = np.random.default_rng(3)
    table, expected = changed_table(rng)
    assert allowed_numbers(table, list(expected), None) == set(expected)
    selective_count = 0
    for _ in range(300):
        condition = random_filter(rng)
        wanted = {n for n, record in expected.items() if is_allowed(record, condition)}
        assert allowed_numbers(table, list(expected), condition) == wanted
        selective_count += 0 < len(wanted) < len(expected)
    assert selective_count > 150


@pytest.mark.parametrize("field", ["category", "brand", "seller", "attributes.colour"])
def test_keys_are_equal_where_the_values_are(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribute_table, "_LEAST_GONE", 50)
    table, expected = changed_table(np.random.default_rng(4))
    rows = table.allow(None).find_rows(np.array(list(expected)))
    keys = table.keys(field)[rows].tolist()
    values = [
        (record.attributes.get("colour") if "." in field else getattr(record, field)) or None
        for record in expected.values()
    ]
    assert len(set(keys)) == len(set(values)) == len(set(zip(keys, values, strict=True)))
    assert keys[values.index(None)] == 0


def test_products_that_came_after_the_filter_was_asked_are_not_allowed() -> None:
    table = FacetTable()
    allowed = table.allow(None)
    table.append(Facets.of({5: ProductRecord(product_id="p")}))
    assert allowed_numbers(table, [5], None) == {5}
    assert not allowed.mask.take(allowed.find_rows(np.array([5])), mode="clip").any()


def test_an_unknown_number_has_no_row_of_another() -> None:
    table = FacetTable()
    records = {5: ProductRecord(product_id="p", price=1), 9: ProductRecord(product_id="q", price=1)}
    table.append(Facets.of(records))
    allowed = table.allow(PriceBetween())
    rows = allowed.find_rows(np.array([1, 5, 7, 9, 11]))
    assert allowed.mask.take(rows, mode="clip").tolist() == [False, True, False, True, False]


def test_a_filter_of_many_values_compares_few_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    records = {
        n: ProductRecord(product_id=f"p{n}", attributes={"ean": f"{n}", "colour": "red"})
        for n in range(1, 20_001)
    }
    table = FacetTable()
    table.append(Facets.of(records))
    wanted = set(range(5, 20_000, 20))
    isin, sizes = np.isin, []

    def count(elements: np.ndarray, some: np.ndarray) -> np.ndarray:
        sizes.append(len(elements))
        return isin(elements, some)

    monkeypatch.setattr("numpy.isin", count)
    values = frozenset(f"{n}" for n in wanted)
    assert allowed_numbers(table, list(records), AttributeIn(name="ean", values=values)) == wanted
    assert max(sizes) < 2_500  # of 40,000: who writes waits as long
