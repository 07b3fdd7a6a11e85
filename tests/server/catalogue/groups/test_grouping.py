"""Groups beside the writes: any order, a crash, deletes and new vectors leave them right."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.catalogue.groups.planted import (
    CONTRACT,
    Engine,
    batch_groups,
    contract_of,
    family,
    grouping,
    groups_of,
    numbers,
    partition,
    plant,
    products_of,
    settle,
    write,
)
from twinshelf.server.catalogue.groups.formation import GroupGuards
from twinshelf.server.catalogue.groups.group_record import EventKind
from twinshelf.server.catalogue.groups.neighbour_lists import Lists
from twinshelf.server.catalogue.product_record import NewVector, ProductRecord
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.training.grouping.group_scores import evaluate_groups


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.slow
async def test_any_order_gives_the_groups_of_the_batch_command(
    engine: Engine, generator: np.random.Generator
) -> None:
    sizes = generator.choice([1, 2, 3, 5, 9], 150)
    embeddings, planted = plant(sizes.tolist(), dimension=16, noise=0.5, generator=generator)
    titles = generator.choice(["tea", "tea 250 g", "tea 400 g"], len(embeddings)).tolist()
    products = products_of(embeddings, CONTRACT, titles)
    batch = batch_groups(embeddings, planted, CONTRACT, titles)
    found: list[list[int]] = []
    for order in range(3):
        async with grouping(engine, name=f"order{order}") as catalogue:
            places = generator.permutation(len(products))
            # In gulps, so that products are grouped before their fellows come.
            for start in range(0, len(places), 100):
                await write(catalogue, (products[place] for place in places[start : start + 100]))
                await asyncio.sleep(0.05)
            names = await numbers(catalogue)
        found.append([names.get(f"p{row:05}", -row - 1) for row in range(len(products))])
    for ours in found:
        # Halves are kept in fp16, so that a score may fall on the other side of a threshold.
        agreement = evaluate_groups(np.array(ours), [str(number) for number in batch])
        assert agreement is not None and agreement.pair_f1 >= 0.99
        between = evaluate_groups(np.array(ours), [str(number) for number in found[0]])
        assert between is not None and between.pair_f1 >= 0.99


async def test_what_is_written_before_a_crash_is_grouped_after_it(
    engine: Engine, generator: np.random.Generator
) -> None:
    products = family(generator, 4)
    async with grouping(engine, guards=None) as catalogue:
        await write(catalogue, products[:2])
        await catalogue.delete(["p00001"])
        assert await groups_of(catalogue) == {}
    async with grouping(engine) as catalogue:
        assert await partition(catalogue) == set()
        await write(catalogue, products[2:])
        assert await partition(catalogue) == {frozenset({"p00000", "p00002", "p00003"})}


async def test_a_joining_product_leaves_the_number_and_is_told_of(
    engine: Engine, generator: np.random.Generator
) -> None:
    products = family(generator, 4)
    async with grouping(engine) as catalogue:
        await write(catalogue, products[:2])
        before = await numbers(catalogue)
        await write(catalogue, products[2:3])
        await settle(catalogue)
        await write(catalogue, products)
        after = await numbers(catalogue)
        assert after == dict.fromkeys((f"p{n:05}" for n in range(4)), before["p00000"])
        events = await catalogue.groups.events_after(before["p00000"], 0, 10)
    assert [event.kind for event in events] == [
        EventKind.STARTED, EventKind.JOINED, EventKind.JOINED
    ]  # fmt: skip
    assert events[0].product_ids == ("p00000", "p00001")
    assert events[0].number == events[0].target == before["p00000"]


async def test_a_title_of_another_amount_parts_a_product_from_its_group(
    engine: Engine, generator: np.random.Generator
) -> None:
    same = family(generator, 6)
    first, second = [
        [
            replace(each, record=ProductRecord(product_id=f"p{row}", title=f"tea {amount}"))
            for row, each in enumerate(products)
        ]
        for amount, products in (("250 g", same[:3]), ("400 g", same[3:]))
    ]
    async with grouping(engine) as catalogue:
        await write(catalogue, first)
        assert sorted(map(len, await partition(catalogue))) == [3]
        await write(catalogue, second[2:])
        assert sorted(map(len, await partition(catalogue))) == [2]
        await write(catalogue, second[:2])
        assert sorted(map(len, await partition(catalogue))) == [3]


async def test_further_photos_leave_the_groups_as_they_are(
    engine: Engine, generator: np.random.Generator
) -> None:
    products = [*family(generator, 3), *family(generator, 2, first=3)]
    shown = []
    for product in products:
        images = generator.normal(size=(4, 16))
        images /= np.linalg.norm(images, axis=1, keepdims=True)
        (vector,) = product.vectors
        vector = replace(vector, further_images=images.astype(np.float16))
        shown.append(replace(product, vectors=(vector,)))
    async with grouping(engine) as catalogue:
        await write(catalogue, products)
        expected = await partition(catalogue)
        assert sorted(map(len, expected)) == [2, 3]
        await write(catalogue, shown)
        assert await partition(catalogue) == expected


@pytest.mark.parametrize("order", [1, -1])
async def test_a_further_photo_ties_in_no_order(
    engine: Engine, generator: np.random.Generator, order: int
) -> None:
    plain, shown = family(generator, 1)[0], family(generator, 2)[1]
    (vector,) = plain.vectors
    (other,) = shown.vectors
    both = replace(other, further_images=vector.vector[np.newaxis, :16])
    async with grouping(engine) as catalogue:
        for product in [plain, replace(shown, vectors=(both,))][::order]:
            await write(catalogue, [product])
            assert await partition(catalogue) == set()


async def test_deleted_products_leave_and_the_last_one_keeps_the_group(
    engine: Engine, generator: np.random.Generator
) -> None:
    products = family(generator, 3)
    async with grouping(engine) as catalogue:
        await write(catalogue, products)
        (number,) = set((await numbers(catalogue)).values())
        await catalogue.delete(["p00000", "p00001"])
        assert await partition(catalogue) == set()
        assert (await catalogue.groups.group(number)).product_ids == ("p00002",)
        await write(catalogue, products[:1])
        assert await numbers(catalogue) == dict.fromkeys(("p00000", "p00002"), number)
        kinds = [each.kind for each in await catalogue.groups.events_after(number, 0, 10)]
    assert kinds == [EventKind.STARTED, EventKind.LEFT, EventKind.JOINED]


async def test_what_is_deleted_while_others_are_grouped_with_it_leaves_no_trace(
    tmp_path: Path, generator: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinshelf.server.catalogue.groups.grouping.BATCH_LIMIT", 1)
    loop = asyncio.get_running_loop()
    async with grouping(Engine(place=str(tmp_path)), guards=None) as catalogue:
        await write(catalogue, family(generator, 2))
        store = catalogue._grouping.store
        find = store.neighbours

        def find_and_lose(*arguments: Any) -> dict[int, Lists]:
            found = find(*arguments)
            assert found[1]
            asyncio.run_coroutine_threadsafe(catalogue.delete(["p00001"]), loop).result()
            return found

        with monkeypatch.context() as patched:
            patched.setattr(store, "neighbours", find_and_lose)
            await asyncio.to_thread(catalogue._grouping.group_some)
        await settle(catalogue)
        assert store.lists(1) == store.lists(2) == {}


async def test_a_bridge_merges_groups_and_its_end_splits_them_under_the_old_number(
    engine: Engine,
) -> None:
    def turned(angle: float) -> OfferEmbedding:
        """A text at an angle, so that cosines are known."""
        text = np.zeros(16, dtype=np.float32)
        text[:2] = np.cos(angle), np.sin(angle)
        return OfferEmbedding(image=None, text=text)

    # Ties are up to 0.64 rad long: the two groups are bridged from the middle.
    angles = [0.0, 0.01, 0.02, 1.0, 1.01, 0.5]
    products = products_of([turned(angle) for angle in angles], CONTRACT)
    async with grouping(engine, guards=GroupGuards(least_density=0)) as catalogue:
        await write(catalogue, products[:5])
        apart = await numbers(catalogue)
        assert len(set(apart.values())) == 2
        await write(catalogue, products[5:])
        merged = await numbers(catalogue)
        assert merged == dict.fromkeys((f"p{n:05}" for n in range(6)), apart["p00000"])
        ended = await catalogue.groups.group(apart["p00003"])
        assert (ended.product_ids, ended.merged_into) == ((), apart["p00000"])
        await catalogue.delete(["p00005"])
        split = await numbers(catalogue)
        assert split["p00000"] == apart["p00000"]
        assert split["p00003"] == split["p00004"] not in apart.values()
        kinds = [each.kind for each in await catalogue.groups.events_after(None, 0, 10)]
    assert kinds == [
        EventKind.STARTED, EventKind.STARTED, EventKind.MERGED, EventKind.JOINED,
        EventKind.SPLIT, EventKind.LEFT,
    ]  # fmt: skip


@pytest.mark.slow
async def test_a_new_encoder_leaves_the_numbers_alone(
    engine: Engine, generator: np.random.Generator
) -> None:
    second = contract_of(16, "second")
    sizes = [3] * 40
    embeddings, _ = plant(sizes, dimension=16, noise=0.2, generator=generator)
    turn = np.linalg.qr(generator.normal(size=(16, 16)))[0].astype(np.float32)

    def turned(half: np.ndarray | None) -> np.ndarray | None:
        return None if half is None else half @ turn

    again = [OfferEmbedding(image=turned(e.image), text=turned(e.text)) for e in embeddings]
    async with grouping(engine) as catalogue:
        await write(catalogue, products_of(embeddings, CONTRACT))
        before = await numbers(catalogue)
        event_count = len(await catalogue.groups.events_after(None, 0, 1000))
        await catalogue.use_encoder(second)
        places: Sequence[int] = generator.permutation(len(again)).tolist()
        renewed = products_of(again, second)
        await write(catalogue, (renewed[place] for place in places[:60]))
        await asyncio.sleep(0.1)
        await write(catalogue, (renewed[place] for place in places[60:]))
        assert await numbers(catalogue) == before
        assert len(await catalogue.groups.events_after(None, 0, 1000)) == event_count


@pytest.mark.slow
async def test_a_switch_of_encoders_groups_anew_and_leaves_the_numbers_alone(
    engine: Engine, generator: np.random.Generator
) -> None:
    second = contract_of(16, "second")
    embeddings, _ = plant([3] * 10, dimension=16, noise=0.2, generator=generator)
    async with grouping(engine) as catalogue:
        await write(catalogue, products_of(embeddings, CONTRACT))
        before = await numbers(catalogue)
        await catalogue.encoders.keep(second.digest)
        await catalogue.open_index(second)
        for product in products_of(embeddings, second):
            stored = await catalogue.changeable(product.record.product_id)
            assert stored is not None
            await catalogue.encoders.add(
                NewVector(
                    product_id=product.record.product_id,
                    made=product.vectors[0],
                    expected_change=stored.change_sequence,
                )
            )
        # Who does not serve is of no interest to groups.
        assert await catalogue.groups.pending_count() == 0
        await catalogue.encoders.switch(second)
        await catalogue.use_encoder(second)
        await asyncio.to_thread(catalogue._grouping.group_some)
        assert await numbers(catalogue) == before
        # Once the old vectors are gone, the new ones are still the same.
        await catalogue.encoders.drop(CONTRACT.digest)
        assert await catalogue.groups.pending_count() == 0
        changed = replace(products_of(embeddings, second)[0], record=ProductRecord(product_id="x"))
        await catalogue.upsert(changed)
        assert (await numbers(catalogue))["x"] == before["p00000"]


async def test_without_a_calibration_of_pairs_nothing_is_grouped(
    engine: Engine, generator: np.random.Generator
) -> None:
    bare = contract_of(16, pair_curves={})
    async with grouping(engine, bare) as catalogue:
        await write(catalogue, family(generator, 3))
        assert not await asyncio.to_thread(catalogue._grouping.group_some)
        assert await groups_of(catalogue) == {}


async def test_a_changed_calibration_groups_all_anew(
    engine: Engine, generator: np.random.Generator
) -> None:
    strict = {"scores": [0.4, 0.95], "probabilities": [0.0, 1.0], "threshold": 0.99999}
    products = family(generator, 3)
    async with grouping(engine, contract_of(16, pair_curves={"image": strict})) as catalogue:
        await write(catalogue, products)
        assert await partition(catalogue) == set()
    async with grouping(engine) as catalogue:
        await asyncio.to_thread(catalogue._grouping.group_some)
        assert await partition(catalogue) == {frozenset({"p00000", "p00001", "p00002"})}
