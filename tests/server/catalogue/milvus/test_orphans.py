"""Vectors that no product names are removed once they are old; all others stay.

Those of an encoder that was dropped go as well.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.products import CONTRACT, new_product, random_embedding
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.connection import MilvusConnection
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.milvus.orphans import Orphans
from twinshelf.server.catalogue.milvus.product_rows import product_key
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.catalogue.milvus.upkeep import MilvusConfig
from twinshelf.server.errors import CatalogueUnavailableError

pytestmark = pytest.mark.milvus


async def test_only_old_vectors_that_no_product_names_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = MilvusAddress.parse(f"milvus-lite://{tmp_path}/catalogue.db")
    assert address is not None
    catalogue = MilvusCatalogue(address, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    generator = np.random.default_rng(0)
    for product_id in "ab":
        await catalogue.upsert(new_product(product_id, random_embedding(generator)))
    connection, collections = catalogue._connection, catalogue._collections
    collection = collections.vectors(catalogue._stored.state.made_number(CONTRACT.digest))
    rows = connection.query(collection, 'key > ""', ["*"])
    # What two batches left that were cut off: one long ago, one just now.
    left = [
        {**rows[0], "key": f"{rows[0]['key']}{n}", "version": rows[0]["version"] - n}
        for n in (1, 2)
    ]
    left[0]["version"] = 1
    connection.upsert(collection, left)
    orphans = Orphans(connection, collections, catalogue._stored)
    assert orphans.remove_some() == 1
    kept = {row["key"] for row in connection.query(collection, 'key > ""', ["key"])}
    assert kept == {row["key"] for row in rows} | {left[1]["key"]}
    # Old ones that products name are none.
    monkeypatch.setattr("twinshelf.server.catalogue.milvus.orphans._LEAST_AGE_S", -3600.0)
    monkeypatch.setattr("twinshelf.server.catalogue.milvus.orphans._PAGE", 1)
    assert sum(orphans.remove_some() for _ in range(6)) == 1
    kept = {row["key"] for row in connection.query(collection, 'key > ""', ["key"])}
    assert kept == {row["key"] for row in rows}
    await catalogue.close()


@pytest.mark.parametrize("shows_older_rows", [False, True])
async def test_no_vectors_are_removed_for_rows_that_a_query_node_has_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shows_older_rows: bool
) -> None:
    address = MilvusAddress.parse(f"milvus-lite://{tmp_path}/catalogue.db")
    assert address is not None
    catalogue = MilvusCatalogue(address, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    generator = np.random.default_rng(0)
    await catalogue.upsert(new_product("a", random_embedding(generator)))
    before = catalogue._stored.rows([product_key("a")])
    await catalogue.upsert(new_product("a", random_embedding(generator)))
    orphans = Orphans(catalogue._connection, catalogue._collections, catalogue._stored)
    monkeypatch.setattr("twinshelf.server.catalogue.milvus.orphans._LEAST_AGE_S", -3600.0)
    with monkeypatch.context() as patch:
        patch.setattr(StoredRows, "rows", lambda *_: before if shows_older_rows else {})
        assert [orphans.remove_some() for _ in range(3)] == [0, 0, 0]
    await catalogue.close()


async def test_the_vectors_of_a_dropped_encoder_go_though_its_drop_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise CatalogueUnavailableError("Milvus is away")

    address = MilvusAddress.parse(f"milvus-lite://{tmp_path}/catalogue.db")
    assert address is not None
    catalogue = MilvusCatalogue(
        address, reader_count=1, config=MilvusConfig(orphan_interval_s=3600)
    )
    await catalogue.use_encoder(CONTRACT)
    connection, collections = catalogue._connection, catalogue._collections
    other, left = make_contract("second", 2), []
    for _ in range(2):
        await catalogue.encoders.keep(other.digest)
        catalogue._opened.discard(other.digest)  # another server opens it
        await catalogue.open_index(other)
        left.append(collections.vectors(catalogue._stored.state.made_number(other.digest)))
        with monkeypatch.context() as patch:
            patch.setattr(MilvusConnection, "drop", fail)
            with pytest.raises(CatalogueUnavailableError):
                await catalogue.encoders.drop(other.digest)
        assert await catalogue.encoders.drop(other.digest) == 0
    assert [connection.has_collection(each) for each in left] == [True, True]
    Orphans(connection, collections, catalogue._stored).drop_left()
    assert [connection.has_collection(each) for each in left] == [False, False]
    serving = collections.vectors(catalogue._stored.state.made_number(CONTRACT.digest))
    assert connection.has_collection(serving)
    await catalogue.close()
