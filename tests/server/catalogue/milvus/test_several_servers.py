"""What other servers do to a catalogue on Milvus while this one reads and writes it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.catalogue.conftest import MILVUS
from tests.server.catalogue.milvus.conftest import EMBEDDING, found
from tests.server.catalogue.products import CONTRACT, made_by, new_product
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.changes import ChangeWindow
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import MilvusConnection
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.milvus.product_rows import ProductRow, state_row
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.catalogue.milvus.write_batch import WriteBatch
from twinshelf.server.catalogue.product_record import NewVector, ProductRecord
from twinshelf.server.errors import (
    CatalogueDamagedError,
    CatalogueUnavailableError,
    EncoderConflictError,
)

pytestmark = pytest.mark.milvus
OTHER = make_contract("second", 2)


async def test_a_catalogue_of_which_nothing_is_shown_is_not_taken_for_a_new_one(
    catalogue: MilvusCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, collections = catalogue._connection, catalogue._collections
    monkeypatch.setattr(MilvusConnection, "query", lambda *_, **__: [])
    with pytest.raises(CatalogueUnavailableError, match="not read all"):
        StoredRows(connection, collections).read_state("Strong")


async def test_what_is_written_follows_from_the_state_that_was_read_for_it(
    catalogue: MilvusCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = catalogue._stored.state
    await catalogue.encoders.keep(OTHER.digest)
    await catalogue.open_index(OTHER)
    product = new_product("q", EMBEDDING)
    vectors = (*product.vectors, made_by(OTHER, EMBEDDING))
    with monkeypatch.context() as patch:
        # A search of another thread that began before all this is always the last to end.
        stale = property(lambda _: before, lambda *_: None)
        patch.setattr(StoredRows, "state", stale, raising=False)
        await catalogue.upsert(replace(product, vectors=vectors))
        with pytest.raises(EncoderConflictError, match="are kept"):
            await catalogue.encoders.keep("sha256:third")
    assert catalogue._stored.read_state().encoders.kept == {CONTRACT.digest, OTHER.digest}
    stored = await catalogue.changeable("q")
    assert stored is not None and stored.vectors.keys() == {CONTRACT.digest, OTHER.digest}


async def test_a_product_whose_vectors_another_server_removed_comes_back_when_written_again(
    catalogue: MilvusCatalogue,
) -> None:
    connection, collections = catalogue._connection, catalogue._collections
    collection = collections.vectors(catalogue._stored.state.made_number(CONTRACT.digest))
    rows = connection.query(collection, 'key > ""', ["key"])
    connection.delete(collection, [row["key"] for row in rows])
    assert await found(catalogue) == []
    with pytest.raises(CatalogueDamagedError, match="write it again"):
        await catalogue.changeable("p")
    await catalogue.upsert(new_product("p", EMBEDDING))
    assert await found(catalogue) == ["p"]
    stored = await catalogue.changeable("p")
    assert stored is not None
    np.testing.assert_array_equal(stored.shown.vector, made_by(CONTRACT, EMBEDDING).vector)
    assert (await catalogue.stats(CONTRACT.digest)).indexed_vector_count == 1


@pytest.mark.parametrize("method", ["switch", "drop"])
async def test_what_others_have_just_written_stops_a_switch_and_a_drop(
    catalogue: MilvusCatalogue, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    count = MilvusConnection.count

    def count_behind(*values: Any, **named: Any) -> int:
        """Counts as `Bounded` may: without the one product, which another server wrote just now."""
        return count(*values, **named) if named.get("level") == "Strong" else 0

    await catalogue.encoders.keep(OTHER.digest)
    await catalogue.open_index(OTHER)
    monkeypatch.setattr(MilvusConnection, "count", count_behind)
    change: Awaitable[object]
    if method == "switch":
        change = catalogue.encoders.switch(OTHER)
    else:
        await catalogue.encoders.serve(OTHER, instead_of=CONTRACT.digest)
        change = catalogue.encoders.drop(CONTRACT.digest)
    with pytest.raises(EncoderConflictError, match="1 products have not been embedded"):
        await change


async def test_what_was_written_just_before_a_switch_of_another_server_counts(
    catalogue: MilvusCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await catalogue.encoders.keep(OTHER.digest)
    state = catalogue._stored.state
    switched = replace(state, encoders=replace(state.encoders, current=OTHER.digest))
    catalogue._connection.upsert(catalogue._collections.products, [state_row(switched)])
    catalogue._stored.read_state("Strong")
    assert catalogue.encoders.current == CONTRACT.digest
    levels: list[object] = []

    def count(*_: object, level: object = None, **__: object) -> int:
        """Notes how fresh the answer is to be."""
        levels.append(level)
        return 0

    monkeypatch.setattr(MilvusConnection, "count", count)
    catalogue._refresh()
    assert catalogue.encoders.current == OTHER.digest
    assert set(levels) == {"Strong"}
    levels.clear()
    catalogue._refresh()
    assert set(levels) == {None}


async def test_a_reindexing_undoes_no_write_of_another_server(
    milvus_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = MilvusAddress.parse(milvus_place)
    assert address is not None
    first, second = (MilvusCatalogue(address, reader_count=1, config=MILVUS) for _ in range(2))
    await first.use_encoder(CONTRACT)
    await first.upsert(new_product("p", EMBEDDING))
    await first.encoders.keep(OTHER.digest)
    await first.open_index(OTHER)
    loop, commit, is_written = asyncio.get_running_loop(), WriteBatch.commit, threading.Event()
    record = ProductRecord(product_id="p", title="new title")
    writes = []

    def commit_late(batch: WriteBatch) -> None:
        """Lets the other server write the product once this one has read it for reindexing."""
        if batch._connection is first._connection:
            written = second.upsert(new_product("p", EMBEDDING, record=record))
            writes.append(asyncio.run_coroutine_threadsafe(written, loop))
            assert is_written.wait(10)
        commit(batch)
        is_written.set()

    monkeypatch.setattr(WriteBatch, "commit", commit_late)
    product = await first.changeable("p")
    assert product is not None
    made = NewVector(
        product_id="p", made=made_by(OTHER, EMBEDDING), expected_change=product.change_sequence
    )
    await first.encoders.add(made)
    await asyncio.wrap_future(writes[0])
    again = await second.changeable("p")
    assert again is not None and again.product.record.title == "new title"
    await first.close()
    await second.close()


async def test_whoever_goes_on_from_the_last_change_hears_of_one_that_was_under_way(
    catalogue: MilvusCatalogue,
) -> None:
    stored, products = catalogue._stored, catalogue._collections.products
    window = ChangeWindow(catalogue._connection, catalogue._collections, stored, settle_s=1.0)
    (own,) = stored.products(["p"]).values()
    last = window.last()
    # Another server's batch began before ours, and ends behind it.
    late = ProductRow(number=1, change=own.change - 1, record=ProductRecord(product_id="q"))
    catalogue._connection.upsert(products, [late.to_row()])
    assert window.read(last, 9) == []
    await asyncio.sleep(1.2)
    assert [each.product_id for each in window.read(last, 9)] == ["q", "p"]
    assert window.last() == own.change


def test_indexes_that_another_server_left_undone_are_made(tmp_path: Path) -> None:
    address = MilvusAddress.parse(f"milvus-lite://{tmp_path}/catalogue.db")
    assert address is not None
    connection = MilvusConnection(address)
    create, collections = connection.create, Collections(connection)

    def create_in_part(name: str, fields: Any, indexes: Any) -> None:
        """Dies over the second index."""
        create(name, fields, indexes[:1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "create", create_in_part)
        Collections(connection).make_products()
    collections.make_products()
    names = connection._client.list_indexes(collections.products)
    assert {"number", "change"} <= set(names)
    connection.close()
