"""The table of facets learns of every write, also of those that come while it is read."""

from __future__ import annotations

import numpy as np
import pytest

from tests.server.catalogue.products import new_product, random_embedding
from twinshelf.server.catalogue.facets import facet_table
from twinshelf.server.catalogue.facets.facet_table import Facets, FacetTable
from twinshelf.server.catalogue.facets.served_facets import ServedFacets
from twinshelf.server.catalogue.index_changes import Write
from twinshelf.server.catalogue.product_filter import FieldIn
from twinshelf.server.catalogue.product_record import (
    Deleted,
    ProductRecord,
    Stored,
)

ACME = FieldIn(field="brand", values=frozenset({"Acme"}))


def written(number: int, brand: str) -> Write:
    record = ProductRecord(product_id=f"p{number}", brand=brand)
    embedding = random_embedding(np.random.default_rng(number))
    stored = Stored(product_number=number, replaced=False, changes=())
    return new_product(record.product_id, embedding, record=record), stored


def removed(number: int) -> Write:
    return None, Deleted(removed=(number,), changes=(), missing=())


def test_what_is_written_while_the_table_is_read_is_caught_up_with() -> None:
    served = ServedFacets()
    served.begin()
    served.learn([written(1, "Acme"), written(2, "Acme"), written(3, "Globex")])
    served.learn([removed(2), written(4, "Acme"), removed(4), written(5, "Acme")])
    # What a reader sees that began between the two: 2 is gone in the end, 3 and 5 are not there.
    read = FacetTable()
    read.append(Facets.of({n: ProductRecord(product_id=f"p{n}", brand="old") for n in (1, 2)}))
    served.publish(read)
    assert served.table is not None
    assert served.table.allow(ACME).count == 2
    assert served.table.allow(None).count == 3
    served.learn([written(3, "Acme"), removed(1)])
    assert served.table.allow(ACME).count == 2


def test_a_table_of_mostly_removed_products_is_thrown_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(facet_table, "_LEAST_REMOVED", 2)
    served = ServedFacets()
    served.publish(FacetTable())
    served.learn([written(number, "Acme") for number in range(5)])
    served.learn([removed(0), removed(0), removed(1)])
    assert served.table is not None
    served.learn([removed(3)])
    assert served.table is None


def test_a_table_of_texts_that_no_product_has_any_more_is_thrown_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(facet_table, "_LEAST_REMOVED", 3)
    served = ServedFacets()
    served.publish(FacetTable())
    for number in range(4):
        served.learn([written(1, f"brand {number}")])
    assert served.table is not None
    served.learn([written(1, "brand 4")])
    assert served.table is None


def test_while_nobody_reads_a_table_nothing_is_remembered_for_it() -> None:
    served = ServedFacets()
    served.learn([written(number, "Acme") for number in range(10)])  # nobody filters for weeks
    assert served._since is None
    served.begin()
    served.learn([written(10, "Acme")])
    served.give_up()
    assert served._since is None
    served.begin()
    served.learn([written(11, "Acme")])
    served.publish(FacetTable())
    assert served._since is None
    assert served.table is not None
    assert served.table.allow(ACME).count == 1


def test_a_table_that_failed_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    served = ServedFacets()
    served.publish(FacetTable())

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(FacetTable, "change", fail)
    served.learn([written(1, "Acme")])
    assert served.table is None
