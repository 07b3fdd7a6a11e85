"""A catalogue on Milvus under many callers, and after writes and drops that were cut off."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.catalogue.conftest import MILVUS
from tests.server.catalogue.products import (
    CONTRACT,
    made_by,
    new_product,
    query_of,
    random_embedding,
)
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.changes import ChangeWindow
from twinshelf.server.catalogue.milvus.connection import MilvusConnection, Row
from twinshelf.server.catalogue.milvus.counts import Counts
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.milvus.state import CatalogueState
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.catalogue.product_record import ProductRecord
from twinshelf.server.errors import CatalogueUnavailableError

pytestmark = pytest.mark.milvus
RNG = np.random.default_rng(0)
EMBEDDING = random_embedding(RNG)
OTHER = make_contract("second", 2)


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[MilvusCatalogue]:
    """A catalogue with one product, which one thread searches."""
    address = MilvusAddress.parse(f"milvus-lite://{tmp_path}/catalogue.db")
    assert address is not None
    settings = replace(MILVUS, look_interval_s=3600, orphan_interval_s=3600)
    opened = MilvusCatalogue(address, reader_count=1, settings=settings)
    await opened.use_encoder(CONTRACT)
    await opened.upsert(new_product("p", EMBEDDING))
    yield opened
    await opened.close()


async def found(catalogue: MilvusCatalogue) -> list[str]:
    """Returns the identifiers of the products that are found."""
    page = await catalogue.search(query_of(EMBEDDING))
    return [hit.product.record.product_id for hit in page.hits]


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

    def noted(counts: Counts, state: CatalogueState) -> bool:
        calls.append(state)
        return refresh(counts, state)

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
