"""A catalogue on Milvus under many callers, and after writes and drops that were cut off."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.catalogue.conftest import MILVUS
from tests.server.catalogue.milvus.conftest import EMBEDDING, found
from tests.server.catalogue.products import (
    CONTRACT,
    made_by,
    new_product,
    query_of,
    random_embedding,
)
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.milvus import milvus_catalogue, upkeep
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.changes import ChangeWindow
from twinshelf.server.catalogue.milvus.connection import MilvusConnection, Row
from twinshelf.server.catalogue.milvus.counts import Counts
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.milvus.state import CatalogueState
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.catalogue.milvus.write_batch import WriteBatch
from twinshelf.server.catalogue.product_record import ProductRecord
from twinshelf.server.errors import CatalogueUnavailableError

pytestmark = pytest.mark.milvus
RNG = np.random.default_rng(0)
OTHER = make_contract("second", 2)


async def test_a_product_is_found_however_many_writes_of_it_were_cut_off(
    catalogue: MilvusCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    upsert = MilvusConnection.upsert

    def upsert_vectors(
        connection: MilvusConnection, collection: str, rows: list[Row], **values: float
    ) -> None:
        if collection == catalogue._collections.products:
            raise CatalogueUnavailableError("Milvus is away")
        upsert(connection, collection, rows, **values)

    with monkeypatch.context() as patch:
        patch.setattr(MilvusConnection, "upsert", upsert_vectors)
        for _ in range(6):
            with pytest.raises(CatalogueUnavailableError):
                await catalogue.upsert(new_product("p", random_embedding(RNG)))
    assert await found(catalogue) == ["p"]
    # As the best, too, though by what was cut off another product would be better.
    other = random_embedding(RNG)
    assert EMBEDDING.text is not None and other.text is not None
    row = (2 * EMBEDDING.text + other.text).astype(np.float32)
    await catalogue.upsert(new_product("q", replace(EMBEDDING, text=row / np.linalg.norm(row))))
    page = await catalogue.search(query_of(EMBEDDING, 1))
    assert [hit.product.record.product_id for hit in page.hits] == ["p"]


async def test_a_search_does_not_wait_for_those_who_watch(
    catalogue: MilvusCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = threading.Event()

    def wait(*_: object) -> list[Any]:
        """Waits for a tick of a slow Milvus."""
        end.wait()
        return []

    monkeypatch.setattr(ChangeWindow, "read", wait)
    watching = [asyncio.create_task(catalogue.changes_after(0, 1)) for _ in range(9)]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(20):
            assert await found(catalogue) == ["p"]
    finally:
        end.set()
        for each in watching:
            each.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


async def test_who_asks_for_counts_at_once_shares_them(
    catalogue: MilvusCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh, calls = Counts.refresh, []

    def noted(counts: Counts, state: CatalogueState, **named: Any) -> bool:
        calls.append(state)
        return refresh(counts, state, **named)

    monkeypatch.setattr(Counts, "refresh", noted)
    stats = await asyncio.gather(*(catalogue.stats(CONTRACT.digest) for _ in range(9)))
    assert {each.product_count for each in stats} == {1}
    assert len(calls) == 1
    await catalogue.upsert(new_product("q", EMBEDDING))
    assert (await catalogue.stats(CONTRACT.digest)).product_count == 2
    assert len(calls) == 2


async def test_what_stays_of_many_products_is_read_at_once(
    catalogue: MilvusCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await catalogue.encoders.keep(OTHER.digest)
    await catalogue.open_index(OTHER)
    names = [f"u{number}" for number in range(9)]
    made = {name: new_product(name, random_embedding(RNG)) for name in names}
    others = {name: made_by(OTHER, random_embedding(RNG)) for name in names}
    await asyncio.gather(
        *(
            catalogue.upsert(replace(each, vectors=(*each.vectors, others[name])))
            for name, each in made.items()
        )
    )
    read, levels = StoredRows.vectors, []

    def noted(*values: Any) -> Any:
        levels.append(values[-1])
        return read(*values)

    with monkeypatch.context() as patch:
        patch.setattr(StoredRows, "vectors", noted)
        await asyncio.gather(
            *(
                catalogue.upsert(replace(made[name], keeps_others=True, record=record))
                for name in names
                for record in [ProductRecord(product_id=name, price=2.0)]
            )
        )
    assert 1 <= len(levels) <= 2  # the first may be a batch of its own
    assert set(levels) == {"Strong"}
    for name in names:
        stored = await catalogue.changeable(name)
        assert stored is not None and stored.product.record.price == 2.0
        assert stored.vectors.keys() == {CONTRACT.digest, OTHER.digest}
        np.testing.assert_array_equal(stored.vectors[OTHER.digest].vector, others[name].vector)


async def test_a_query_of_an_encoder_that_was_dropped_is_no_sample(
    catalogue: MilvusCatalogue,
) -> None:
    await catalogue.encoders.keep(OTHER.digest)
    await catalogue.open_index(OTHER)
    vector = np.zeros(OTHER.dimension, dtype=np.float32)
    catalogue._upkeep.note_query(OTHER.digest, vector, EMBEDDING.pattern)
    await catalogue.encoders.drop(OTHER.digest)
    catalogue._upkeep.sample_recall()
    assert np.isnan(catalogue.live_recall)


async def test_a_write_does_not_wait_for_the_collection_of_another_encoder(
    catalogue: MilvusCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, create = threading.Event(), MilvusConnection.create

    def create_slowly(*values: Any) -> None:
        end.wait()
        create(*values)

    monkeypatch.setattr(MilvusConnection, "create", create_slowly)
    opening = asyncio.ensure_future(catalogue.open_index(OTHER))
    try:
        async with asyncio.timeout(20):
            await asyncio.sleep(0.05)
            await catalogue.upsert(new_product("q", EMBEDDING))
    finally:
        end.set()
        await opening


async def test_other_writes_pass_between_the_steps_of_a_long_deletion(
    catalogue: MilvusCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"d{number}" for number in range(9)]
    await asyncio.gather(*(catalogue.upsert(new_product(each, EMBEDDING)) for each in ids))
    monkeypatch.setattr(milvus_catalogue, "PART_LIMIT", 2)
    deleting = asyncio.ensure_future(catalogue.delete([*ids, *ids, "unknown"]))
    await asyncio.sleep(0)
    await catalogue.upsert(new_product("q", EMBEDDING))
    assert not deleting.done()
    deleted = await deleting
    assert (len(deleted.removed), deleted.missing) == (9, ("unknown",))
    assert sorted(await found(catalogue)) == ["p", "q"]


async def test_no_photo_stays_of_a_deletion_that_was_cut_off_and_repeated(
    catalogue: MilvusCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise CatalogueUnavailableError("Milvus is away")

    await catalogue.upsert(replace(new_product("p", EMBEDDING), thumbnail=b"jpeg"))
    with monkeypatch.context() as patch:
        patch.setattr(WriteBatch, "_write_thumbnails", fail)
        with pytest.raises(CatalogueUnavailableError):
            await catalogue.delete(["p"])
    assert (await catalogue.delete(["p"])).missing == ("p",)
    assert await catalogue.thumbnail("p") is None


async def test_products_that_cannot_be_counted_hold_up_neither_health_nor_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = MilvusAddress.parse(f"milvus-lite://{tmp_path}/catalogue.db")
    assert address is not None
    config = replace(MILVUS, look_interval_s=0.01)
    catalogue = MilvusCatalogue(address, reader_count=1, config=config)
    await catalogue.use_encoder(CONTRACT)
    try_count = 0

    def take_too_long(*_: object, **__: object) -> bool:
        nonlocal try_count
        try_count += 1
        raise CatalogueUnavailableError("Milvus takes too long to count")

    monkeypatch.setattr(upkeep, "_COUNTING_SHARE", 1e9)  # it counts with every look
    monkeypatch.setattr(Counts, "refresh", take_too_long)
    problems = set()
    for _ in range(50):
        await asyncio.sleep(0.02)
        problems.add(catalogue.problem)
    assert (try_count, problems) == (1, {None})
    await catalogue.close()
