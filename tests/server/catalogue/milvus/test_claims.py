"""Claims of reindexing servers, on a table in the place of Milvus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from twinshelf.server.catalogue.encoder_state import EncoderState
from twinshelf.server.catalogue.milvus.claims import Claims
from twinshelf.server.catalogue.milvus.connection import LOGICAL_BITS
from twinshelf.server.catalogue.milvus.product_rows import (
    CLAIM,
    ProductRow,
    claim_row,
    state_row,
)
from twinshelf.server.catalogue.milvus.state import STATE_KEY, CatalogueState
from twinshelf.server.catalogue.product_record import ProductRecord
from twinshelf.server.errors import CatalogueUnavailableError

KEPT = CatalogueState(encoders=EncoderState(current="a", kept=frozenset({"a", "b"})))
OLD = ProductRow(
    number=1, change=1, update_time_us=1, record=ProductRecord(product_id="p", title="old")
)
NEW = replace(OLD, change=2, update_time_us=2, record=ProductRecord(product_id="p", title="new"))
# As it was, with what an encoder made of it; written after the new one.
UNDONE = replace(OLD, change=3)
KEY = OLD.key


class Table:
    """Rows by key; what another server does is done before the looks after the first."""

    products = "products"

    def __init__(self, state: CatalogueState, *others: Callable[[Table], None]) -> None:
        self.rows: dict[str, Mapping[str, Any]] = {STATE_KEY: state_row(state)}
        self.put(NEW)
        self._others = iter((lambda _: None, *others))
        self.look_count = 0

    def put(self, row: ProductRow) -> None:
        self.rows[row.key] = row.to_row()

    def claim(self, name: str, age_s: float = 0) -> None:
        timestamp = int((1000 - age_s) * 1000) << LOGICAL_BITS
        self.rows[name] = claim_row(name, timestamp, [KEY])

    def timestamps(self) -> list[int]:
        return [1_000_000 << LOGICAL_BITS]

    def query(self, _: str, condition: str, *__: object, level: str) -> list[Mapping[str, Any]]:
        assert level == "Session"
        if "kind" not in condition:
            return [row for key, row in self.rows.items() if f'"{key}"' in condition]
        self.look_count += 1
        next(self._others)(self)
        return [
            row for row in self.rows.values() if row["key"] == STATE_KEY or row["kind"] == CLAIM
        ]

    def upsert(self, _: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows |= {row["key"]: row for row in rows}

    def delete(self, _: str, keys: Sequence[str]) -> None:
        for key in keys:
            del self.rows[key]


def guarded(table: Any) -> list[ProductRow]:
    """Returns the rows that are to be written again, which they are."""
    again, written = [], {KEY: NEW}
    for row in Claims(table, table, 8.0).guard({KEY: OLD}, written):
        again.append(row)
        written[KEY] = replace(NEW, change=4)
        table.put(written[KEY])
    return again


def undo(table: Table) -> None:
    """Does what a server that has read the old row does last."""
    table.put(UNDONE)
    del table.rows["!other"]


def test_a_product_that_a_reindexing_undoes_is_written_again_when_its_claim_has_ended() -> None:
    table = Table(KEPT, lambda _: None, undo, lambda _: None)
    table.claim("!other")
    assert guarded(table) == [UNDONE]
    assert table.look_count == 4


def test_nobody_waits_for_a_claim_that_came_later_or_has_died() -> None:
    table = Table(KEPT, lambda table: table.claim("!later"), lambda table: undo(table))
    table.claim("!dead", age_s=11)
    assert guarded(table) == []
    assert "!dead" not in table.rows and table.look_count == 1


def test_what_another_server_has_written_later_stays() -> None:
    table = Table(KEPT)
    table.put(replace(NEW, change=3, update_time_us=3))
    assert guarded(table) == []
    # So does the new row with something added to it.
    table = Table(KEPT)
    table.put(replace(NEW, change=3))
    assert guarded(table) == []


def test_without_a_reindexing_no_row_is_read_again() -> None:
    table = Table(CatalogueState())
    table.put(UNDONE)
    assert guarded(table) == []


def test_a_claim_lives_as_long_as_it_is_held() -> None:
    table: Any = Table(KEPT)
    claims = Claims(table, table, 8.0)
    with claims.held([KEY]):
        claims.check_read()
        (claim,) = (row for row in table.rows.values() if row["kind"] == CLAIM)
        assert KEY in "".join(claim["body"])
    assert table.rows.keys() == {STATE_KEY, KEY}
    # Milvus may still do what it has not answered.
    with pytest.raises(CatalogueUnavailableError), claims.held([KEY]):
        raise CatalogueUnavailableError("no answer")
    assert len(table.rows) == 3
    table.rows.popitem()
    with claims.held([]):
        assert table.rows.keys() == {STATE_KEY, KEY}
