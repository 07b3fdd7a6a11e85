"""What every implementation of the catalogue takes at once: many products, and long texts."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.server.catalogue.conftest import OpenCatalogue
from tests.server.catalogue.products import CONTRACT, new_product, query_of, random_embedding
from twinshelf.server.catalogue.product_record import ProductRecord

pytestmark = pytest.mark.slow

EMBEDDING = random_embedding(np.random.default_rng(5))


async def test_thousands_of_products_are_removed_at_once(open_catalogue: OpenCatalogue) -> None:
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    stored = [f"p{number}" for number in range(600)]
    await asyncio.gather(*(catalogue.upsert(new_product(each, EMBEDDING)) for each in stored))
    missing = [f"never there {number}" for number in range(7000)]
    deleted = await catalogue.delete([*missing[:1000], *stored, *missing[1000:], *stored])
    assert (len(deleted.removed), len(deleted.changes)) == (600, 600)
    assert list(deleted.missing) == missing
    assert catalogue.product_count == 0
    await catalogue.close()


async def test_hundreds_of_long_texts_are_written_at_once(open_catalogue: OpenCatalogue) -> None:
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    text = "Краткое описание " * 3200  # 100 KB
    records = [
        ProductRecord(product_id=f"p{number}", description=f"{number} {text}")
        for number in range(512)
    ]
    writes = (catalogue.upsert(new_product("", EMBEDDING, record=each)) for each in records)
    await asyncio.gather(*writes)
    for record in records[::100]:
        product = await catalogue.product(record.product_id)
        assert product is not None
        assert product.record == record
    await catalogue.close()


async def test_a_brief_page_holds_all_hits_without_their_long_texts(
    open_catalogue: OpenCatalogue,
) -> None:
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    for number in range(70):
        record = ProductRecord(
            product_id=f"p{number}",
            title=f"{number} " + "t" * 300,
            description="d" * 60_000,
            category="shoes",
            attributes={"size": "40"},
        )
        await catalogue.upsert(new_product("", EMBEDDING, record=record))
    whole = await catalogue.search(query_of(EMBEDDING, count=70))
    brief = await catalogue.search(query_of(EMBEDDING, count=70, is_brief=True))
    assert whole.next_skip_count is not None and brief.next_skip_count is None
    assert [hit.product.record for hit in brief.hits] == [
        ProductRecord(product_id=f"p{n}", title=f"{n} {'t' * 300}"[:256], category="shoes")
        for n in range(70)
    ]
    await catalogue.close()
