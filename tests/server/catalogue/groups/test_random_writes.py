"""After any writes, deletes and a crash among them, the groups are those of all products at once.

Slow on purpose: whatever was forgotten on the way shows as a group that differs.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.groups.planted import (
    CONTRACT,
    Engine,
    batch_groups,
    grouping,
    numbers,
    partition,
    plant,
    rounded,
    write,
)
from tests.server.catalogue.products import new_product
from twinshelf.server.encoders.embedding import OfferEmbedding

pytestmark = pytest.mark.slow
POOL_SIZES = [1, 2, 4, 7, 12] * 14


def make_pool(seed: int) -> list[OfferEmbedding]:
    """Makes embeddings that products take in turn: moderately noisy, so that groups touch."""
    generator = np.random.default_rng(seed)
    return plant(POOL_SIZES, dimension=16, noise=0.55, generator=generator)[0]


def whole(standing: dict[str, OfferEmbedding]) -> set[frozenset[str]]:
    """Groups all that stands at once, as the batch command does."""
    ids = sorted(standing)
    found: dict[int, set[str]] = {}
    groups = batch_groups([standing[each] for each in ids], [""] * len(ids), CONTRACT, ids)
    for product_id, number in zip(ids, groups, strict=True):
        found.setdefault(number, set()).add(product_id)
    return {frozenset(each) for each in found.values() if len(each) > 1}


@pytest.mark.parametrize("seed", range(3))
async def test_groups_do_not_depend_on_how_they_came_about(engine: Engine, seed: int) -> None:
    generator = np.random.default_rng(seed)
    pool = [rounded(each) for each in make_pool(seed)]
    standing: dict[str, OfferEmbedding] = {}
    async with grouping(engine, guards=None) as catalogue:
        for _ in range(6):
            changed = {
                f"p{number:05}": pool[generator.integers(len(pool))]
                for number in generator.integers(0, 250, 60)
            }
            standing |= changed
            await write(catalogue, (new_product(*item, CONTRACT) for item in changed.items()))
            gone = [str(each) for each in generator.choice(sorted(standing), 12, replace=False)]
            await catalogue.delete(gone)
            for each in gone:
                del standing[each]
            assert await partition(catalogue) == whole(standing)


def write_for_ever(engine: Engine, seed: int, has_written: Event) -> None:
    """Writes, replaces and deletes until the process is killed."""

    async def work() -> None:
        generator = np.random.default_rng(seed)
        pool = make_pool(0)
        async with grouping(engine) as catalogue:
            while True:
                places = generator.integers(0, len(pool), 20)
                await write(
                    catalogue,
                    (new_product(f"p{place:05}", pool[place], CONTRACT) for place in places),
                )
                await catalogue.delete([f"p{generator.integers(len(pool)):05}"])
                has_written.set()
                await asyncio.sleep(0.02)

    asyncio.run(work())


async def test_a_kill_loses_no_grouping_and_no_number(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # once for all writers: it takes seconds
    engine = Engine(place=str(tmp_path))
    pool = make_pool(0)
    kept: dict[str, int] = {}
    for seed in range(4):
        has_written = context.Event()
        process = context.Process(
            target=write_for_ever, args=(engine, seed, has_written), daemon=True
        )
        process.start()
        assert process.pid is not None
        assert await asyncio.to_thread(has_written.wait, 60)
        await asyncio.sleep(0.3 * seed)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        async with grouping(engine, guards=None) as catalogue:
            found = await partition(catalogue)
            stored = await catalogue.products_after("", 1000)
            standing = {
                each.record.product_id: pool[int(each.record.product_id[1:])] for each in stored
            }
            expected = whole(standing)
            # Halves are kept in fp16, so that a score may fall on the other side of a threshold.
            assert len(found ^ expected) <= 4
            now = await numbers(catalogue)
            events = await catalogue.groups.events_after(None, 0, 100_000)
            assert all(number <= events[-1].number for number in now.values())
            kept |= now
    assert kept
