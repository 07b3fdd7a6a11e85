"""What every implementation of the catalogue promises to those who watch its changes."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.server.catalogue.conftest import OpenCatalogue
from tests.server.catalogue.products import (
    CONTRACT,
    last_change,
    new_product,
    random_embedding,
)
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_record import ProductRecord
from twinshelf.server.errors import ServerStoppingError

EMBEDDING = random_embedding(np.random.default_rng(3))


async def write(catalogue: Catalogue, product_id: str, title: str) -> None:
    record = ProductRecord(product_id=product_id, title=title)
    await catalogue.upsert(new_product(product_id, EMBEDDING, record=record))


async def catch_up(
    catalogue: Catalogue, copy: dict[str, str], sequence: int, until: int, page: int
) -> int:
    """Brings a copy of the titles up to a change, as a watcher does; returns where it stands."""
    while sequence < until:
        for change in await catalogue.changes_after(sequence, page):
            assert change.sequence > sequence
            sequence = change.sequence
            if change.is_deletion:
                copy.pop(change.product_id, None)
            else:
                assert change.product is not None
                copy[change.product_id] = change.product.record.title
    return sequence


@pytest.mark.slow
async def test_a_copy_that_follows_the_changes_is_the_catalogue(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(8)
    catalogue = open_catalogue()
    expected: dict[str, str] = {}
    copy: dict[str, str] = {}
    sequence = 0
    for turn in range(12):
        if turn == 6:
            await catalogue.close()
            catalogue = open_catalogue()
        for number in rng.integers(0, 30, size=20):
            product_id = f"p{number}"
            if rng.random() < 0.4:
                await catalogue.delete([product_id])
                expected.pop(product_id, None)
            else:
                expected[product_id] = f"title {turn}"
                await write(catalogue, product_id, expected[product_id])
        if turn % 3 == 2:  # whoever was away for long misses nothing
            last = await last_change(catalogue)
            sequence = await catch_up(catalogue, copy, sequence, last, page=int(turn))
            assert (copy, sequence) == (expected, last)
    await catalogue.close()


@pytest.mark.slow
async def test_a_copy_that_follows_while_others_write_ends_up_the_same(
    open_catalogue: OpenCatalogue,
) -> None:
    catalogue = open_catalogue()
    copy: dict[str, str] = {}

    async def watch() -> None:
        sequence = 0
        while copy.get("last") != "done":
            sequence = await catch_up(catalogue, copy, sequence, sequence + 1, page=4)

    watching = asyncio.ensure_future(watch())
    for turn in range(20):
        await asyncio.gather(*(write(catalogue, f"p{turn + i}", str(turn)) for i in range(8)))
        await catalogue.delete([f"p{turn}"])
    await write(catalogue, "last", "done")
    await asyncio.wait_for(watching, 20)
    products = await catalogue.products_after("", 1000)
    assert copy == {each.record.product_id: each.record.title for each in products}
    await catalogue.close()


async def test_whoever_waits_hears_of_the_next_change_and_of_the_end(
    open_catalogue: OpenCatalogue,
) -> None:
    catalogue = open_catalogue()
    waiting = asyncio.ensure_future(catalogue.changes_after(0, 10))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await write(catalogue, "p", "title")
    (change,) = await asyncio.wait_for(waiting, 10)
    assert change.sequence == await last_change(catalogue)
    assert (change.product_id, change.is_deletion) == ("p", False)
    waiting = asyncio.ensure_future(catalogue.changes_after(change.sequence, 10))
    await asyncio.sleep(0.05)
    catalogue.end_changes()
    with pytest.raises(ServerStoppingError):
        await asyncio.wait_for(waiting, 10)
    with pytest.raises(ServerStoppingError):
        await catalogue.changes_after(0, 10)
    await write(catalogue, "q", "all else goes on")
    await catalogue.close()


async def test_writing_the_same_again_does_not_churn_the_index(
    open_catalogue: OpenCatalogue,
) -> None:
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    first = await catalogue.upsert(new_product("p", EMBEDDING))
    first_change = await last_change(catalogue)
    again = await catalogue.upsert(new_product("p", EMBEDDING))
    assert first.changes
    assert again.replaced
    assert not again.changes
    assert await last_change(catalogue) > first_change
    await catalogue.close()
