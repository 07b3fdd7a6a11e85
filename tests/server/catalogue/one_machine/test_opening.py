"""What a catalogue of one machine opens beside all else: indexes of encoders, and facets."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from tests.server.catalogue.products import CONTRACT, new_product, query_of, random_embedding
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.facets import facet_table
from twinshelf.server.catalogue.facets.facet_table import FacetTable
from twinshelf.server.catalogue.index.catalogue_index import CatalogueIndex
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.product_filter import FieldIn
from twinshelf.server.catalogue.product_record import NewProduct, ProductRecord
from twinshelf.server.catalogue.rows.product_reader import ProductReader
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import CatalogueDamagedError

ACME = FieldIn(field="brand", values=frozenset({"Acme"}))
EMBEDDING = random_embedding(np.random.default_rng(3))


def branded(product_id: str) -> NewProduct:
    record = ProductRecord(product_id=product_id, brand="Acme")
    return new_product(product_id, EMBEDDING, record=record)


async def found(catalogue: SqliteCatalogue) -> set[str]:
    hits = (await catalogue.search(query_of(EMBEDDING, condition=ACME))).hits
    return {hit.product.record.product_id for hit in hits}


async def test_worn_facets_are_read_again_for_a_filter_and_miss_no_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facet_table, "_LEAST_REMOVED", 2)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    for number in range(5):
        await catalogue.upsert(branded(f"p{number}"))
    assert await found(catalogue) == {f"p{number}" for number in range(5)}
    await catalogue.delete([f"p{number}" for number in range(4)])
    await catalogue.upsert(branded("before"))
    assert catalogue._batches.facets.table is None
    assert catalogue._batches.facets._since is None  # nobody may filter for weeks

    has_read, may_go_on = threading.Event(), threading.Event()
    read = ProductReader.facets

    def read_slowly(reader: ProductReader) -> FacetTable:
        table = read(reader)
        has_read.set()
        may_go_on.wait(20)
        return table

    monkeypatch.setattr(ProductReader, "facets", read_slowly)
    finding = asyncio.ensure_future(found(catalogue))
    await asyncio.to_thread(has_read.wait)
    await catalogue.upsert(branded("meanwhile"))
    await catalogue.delete(["p4"])
    may_go_on.set()
    assert await finding == {"before", "meanwhile"}
    await catalogue.close()


@pytest.mark.parametrize(("part", "name"), [(CatalogueIndex, "open"), (ProductReader, "facets")])
async def test_what_cannot_be_read_remembers_no_write_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: type, name: str
) -> None:
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    await catalogue._opening.facets()
    with monkeypatch.context() as patched:
        patched.setattr(part, name, Mock(side_effect=MemoryError("no room")))
        catalogue._batches.indexes.keep(())
        catalogue._batches.facets.table = None
        with pytest.raises(MemoryError):
            await catalogue.open_index(CONTRACT)
            await catalogue._opening.facets()
        await catalogue.upsert(branded("p"))
        assert catalogue._batches.indexes.take_since() == []
        assert catalogue._batches.facets._since is None
    await catalogue.use_encoder(CONTRACT)
    assert await found(catalogue) == {"p"}
    await catalogue.close()


async def test_an_index_that_fails_to_open_fails_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_index = CatalogueIndex.open

    def open_one(
        products: ProductReader, contract: EncoderContract, *others: Any
    ) -> CatalogueIndex:
        if contract.digest == CONTRACT.digest:
            raise MemoryError("no room")
        return open_index(products, contract, *others)

    monkeypatch.setattr(CatalogueIndex, "open", open_one)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    other = make_contract("other")
    failed, opened = await asyncio.gather(
        catalogue.open_index(CONTRACT), catalogue.open_index(other), return_exceptions=True
    )
    assert isinstance(failed, MemoryError) and opened is None
    await catalogue.close()


async def test_facets_that_cannot_be_read_are_told_as_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> FacetTable:
        raise sqlite3.DatabaseError("database disk image is malformed")

    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    with monkeypatch.context() as patched:
        patched.setattr(ProductReader, "facets", fails)
        await catalogue.use_encoder(CONTRACT)
        await catalogue.upsert(branded("p"))
        with pytest.raises(CatalogueDamagedError, match="disk image is malformed"):
            await found(catalogue)
        assert catalogue._batches.facets._since is None
    assert "facets could not be read: the catalogue cannot be read" in caplog.text
    assert await found(catalogue) == {"p"}
    await catalogue.close()
