"""Reading rows of a catalogue on Milvus: what is shown in part is not taken for the whole."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.catalogue.products import CONTRACT, new_product, random_embedding
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.milvus.product_rows import ProductRow, product_key
from twinshelf.server.catalogue.milvus.state import STATE_KEY
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.catalogue.product_record import ProductRecord, ProductVector
from twinshelf.server.errors import CatalogueUnavailableError

STATE = {"current": "sha256:a", "kept": [], "drops": {}, "known": ["sha256:a"]}


class Table:
    """A connection to rows in memory, of which a query node may show a part."""

    products = "products"

    def __init__(self, count: int) -> None:
        self.rows = {STATE_KEY: {"key": STATE_KEY, "body": [json.dumps(STATE)]}}
        for number in range(count):
            record = ProductRecord(product_id=f"p{number}")
            row = ProductRow(number=number, change=number, record=record).to_row()
            self.rows[row["key"]] = row

    def query(
        self, _: str, condition: str, fields: object, *, level: object
    ) -> list[dict[str, Any]]:
        keys = json.loads(condition.removeprefix("key in "))
        return [self.rows[key] for key in keys if key in self.rows]

    def has_rows(self, _: str) -> bool:
        return bool(self.rows)


@pytest.mark.slow
def test_rows_beyond_one_query_are_all_read() -> None:
    table: Any = Table(2500)
    keys = [product_key(f"p{number}") for number in range(2500)]
    assert list(StoredRows(table, table).rows(keys)) == keys


def test_a_part_of_the_rows_is_no_answer() -> None:
    table: Any = Table(2)
    stored = StoredRows(table, table)
    assert stored.read_state().encoders.current == "sha256:a"
    del table.rows[STATE_KEY]
    with pytest.raises(CatalogueUnavailableError, match="not read all"):
        stored.rows([product_key("p0")])
    assert stored.state.encoders.current == "sha256:a"
    with pytest.raises(CatalogueUnavailableError, match="not read all"):
        StoredRows(table, table).read_state()  # of a server that starts just now


def test_a_new_catalogue_has_no_state_yet() -> None:
    table: Any = Table(0)
    table.rows.clear()
    assert StoredRows(table, table).read_state().encoders.current is None


@pytest.mark.milvus
async def test_a_product_that_is_written_anew_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = MilvusAddress.parse(f"milvus-lite://{tmp_path}/catalogue.db")
    assert address is not None
    catalogue = MilvusCatalogue(address, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    generator = np.random.default_rng(0)
    for product_id in "abc":
        await catalogue.upsert(new_product(product_id, random_embedding(generator)))
    loop = asyncio.get_running_loop()
    read = StoredRows.vectors
    writes = [
        lambda: catalogue.upsert(new_product("a", random_embedding(generator))),
        lambda: catalogue.delete(["b"]),
    ]

    def read_after_a_write(*values: Any) -> dict[int, ProductVector]:
        """Another server writes between the reading of rows and that of vectors."""
        while writes:
            asyncio.run_coroutine_threadsafe(writes.pop()(), loop).result()
        return read(*values)

    monkeypatch.setattr(StoredRows, "vectors", read_after_a_write)
    found = await catalogue.embedded_products(["a", "b", "c", "d"], CONTRACT)
    assert {key for key, each in found.items() if each.embedding is not None} == {"a", "c"}
    assert found.keys() == {"a", "c"}
    await catalogue.close()
