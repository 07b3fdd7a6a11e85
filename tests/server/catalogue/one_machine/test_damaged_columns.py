"""A value of any column that a flipped bit made another type costs only its own product."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.one_machine.filled_catalogue import SMALL_GRAPH, damage_database
from tests.server.catalogue.products import (
    CONTRACT,
    made_by,
    new_product,
    query_of,
    random_embedding,
)
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.one_machine.backup import verify
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import DATABASE, SqliteCatalogue
from twinshelf.server.catalogue.product_filter import FieldIn, PriceBetween
from twinshelf.server.catalogue.product_record import NewProduct, ProductRecord
from twinshelf.server.errors import CatalogueDamagedError

pytestmark = pytest.mark.slow
OTHER = make_contract("other")
RNG = np.random.default_rng(15)
EMBEDDINGS = [random_embedding(RNG) for _ in range(4)]
IDS = ["p0", "p1", "p2"]


def full_product(number: int) -> NewProduct:
    """Makes a product that has a row in every table, of two encoders and two photos."""
    record = ProductRecord(
        product_id=f"p{number}", brand="Acme", price=2.5, attributes={"size": "5"}
    )
    first, further = EMBEDDINGS[number], [EMBEDDINGS[number + 1]]
    product = new_product(record.product_id, first, record=record, further=further)
    beside = made_by(OTHER, first, further)
    return replace(product, vectors=(*product.vectors, beside), thumbnail=b"small")


async def fill(folder: Path) -> None:
    catalogue = SqliteCatalogue(folder, reader_count=1, config=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    await catalogue.encoders.keep(OTHER.digest)
    for number in range(len(IDS)):
        await catalogue.upsert(full_product(number))
    await catalogue.close()


@pytest.mark.parametrize("has_snapshot", [True, False])
@pytest.mark.parametrize(
    ("table", "damage"),
    [
        ("products", "title = x'ff'"),
        ("products", "category = x'ff'"),
        ("products", "price = 'abc'"),
        ("products", "attributes = '5'"),
        ("products", "attributes = x'ff'"),
        ("products", "change_sequence = 'abc'"),
        ("products", "change_sequence = 2.5"),
        ("product_vectors", "vector = 5"),
        ("product_vectors", "encoder_number = 'abc'"),
        ("product_vectors", "pattern = 'abc'"),
        ("product_vectors", "vector_version = 'abc'"),
        ("vectors_beside", "vector = 2.5"),
        ("vectors_beside", "vector_version = 2.5"),
        ("further_photos", "image_vector = 5"),
        ("thumbnails", "jpeg = 5"),
    ],
)
async def test_a_value_of_another_type_costs_its_own_product_alone(
    tmp_path: Path, table: str, damage: str, has_snapshot: bool
) -> None:
    await fill(tmp_path)
    if not has_snapshot:
        for path in tmp_path.glob("index-*/*"):
            path.unlink()
    damage_database(tmp_path, f"UPDATE {table} SET {damage} WHERE product_number = 2")
    assert not verify(tmp_path / DATABASE).is_clean

    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    await catalogue.open_index(OTHER)
    whole = {"p0", "p2"}
    brand, price = FieldIn(field="brand", values=frozenset({"Acme"})), PriceBetween(greatest=3.0)
    for condition in (None, brand, price):
        page = await catalogue.search(query_of(EMBEDDINGS[1], condition=condition))
        assert {hit.product.record.product_id for hit in page.hits} >= whole
    listed = {each.record.product_id for each in await catalogue.products_after("", 10)}
    assert listed >= whole
    assert {each.product_id for each in await catalogue.changes_after(0, 10)} >= whole
    assert (await catalogue.embedded_products(IDS, CONTRACT)).keys() >= whole

    await asyncio.to_thread(catalogue._store.guard.check)
    assert catalogue.problem is None
    assert (await catalogue.stats(CONTRACT.digest)).damaged_product_count == 1
    for number in (0, 1):
        await catalogue.upsert(full_product(number))
    await catalogue.delete(["p2"])
    assert (await catalogue.stats(CONTRACT.digest)).damaged_product_count == 0
    await catalogue.close()
    assert verify(tmp_path / DATABASE).is_clean


async def test_a_product_of_an_unknown_encoder_is_named_as_damaged(tmp_path: Path) -> None:
    await fill(tmp_path)
    damage_database(tmp_path, "UPDATE product_vectors SET encoder_number = 'abc'")
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    with pytest.raises(CatalogueDamagedError, match="fields of product 'p1' are damaged"):
        await catalogue.product("p1")
    await catalogue.close()


async def test_what_is_read_after_a_damaged_product_is_of_now(tmp_path: Path) -> None:
    await fill(tmp_path)
    damage_database(tmp_path, "UPDATE product_vectors SET vector = x'00' WHERE product_number = 2")
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    # The error is kept, and with it all that its reading had begun.
    with pytest.raises(CatalogueDamagedError) as kept:
        await catalogue.changeable("p1")
    await catalogue.upsert(full_product(1))
    await catalogue.delete(["p2"])
    assert await catalogue.product("p2") is None, kept
    assert await catalogue.changeable("p1") is not None
    await catalogue.close()


async def test_whole_products_behind_many_damaged_ones_are_told_to_be_embedded(
    tmp_path: Path,
) -> None:
    await fill(tmp_path)
    damage_database(tmp_path, "UPDATE products SET title = 'no' WHERE product_number < 3")
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    (found,) = await catalogue.encoders.unembedded_after(0, make_contract("third").digest, 2)
    assert found.product.record.product_id == "p2"
    await catalogue.close()
