"""Groups that several servers keep on one Milvus: one forms them, and none is left half made."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from tests.server.catalogue.groups.planted import (
    GUARDS,
    Engine,
    family,
    grouping,
    groups_of,
    numbers,
    partition,
    settle,
    write,
)
from twinshelf.server.catalogue.groups.group_record import EventKind
from twinshelf.server.catalogue.milvus.connection import MilvusConnection, Row
from twinshelf.server.catalogue.milvus.group_reader import MilvusGroupReader
from twinshelf.server.catalogue.milvus.group_rows import STATE_KEY
from twinshelf.server.catalogue.milvus.group_store import MilvusGroupStore
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.errors import CatalogueUnavailableError

pytestmark = pytest.mark.milvus
# `Bounded` reads may be so old.
SEEN_WITHIN_S = 20.0


def fail(*_: object) -> None:
    raise CatalogueUnavailableError("Milvus is away")


@pytest.fixture
def engine(milvus_place: str) -> Engine:
    """A catalogue on the server."""
    return Engine(place=milvus_place)


async def test_two_servers_form_the_groups_of_all_and_either_may_change_them(
    engine: Engine,
) -> None:
    generator = np.random.default_rng(0)
    first_family, second_family = family(generator, 3), family(generator, 3, first=3)
    async with (
        grouping(engine, guards=GUARDS) as first,
        grouping(engine, guards=GUARDS) as second,
    ):
        await asyncio.gather(write(first, first_family), write(second, second_family))
        async with asyncio.timeout(SEEN_WITHIN_S):
            while len(await groups_of(first)) < 2 or await first.groups.pending_count():
                await asyncio.sleep(0.2)
            while len(found := await groups_of(second)) < 2:
                await asyncio.sleep(0.2)
        low, high = sorted(found)
        for catalogue, source, target in ((first, high, low), (second, high, low)):
            event = await catalogue.groups.merge(source, target)
            assert event.kind is EventKind.MERGED
            await catalogue.groups.undo(event.number)
        events = await second.groups.events_after(None, 0, 100)
        assert [each.number for each in events] == list(range(1, len(events) + 1))
        assert sum(each.is_by_hand for each in events) == 4


async def test_a_change_that_was_cut_off_is_finished_by_whoever_comes_next(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with grouping(engine, guards=None) as catalogue:
        await write(catalogue, family(np.random.default_rng(0), 3))
        await numbers(catalogue)
        number = next(iter(await groups_of(catalogue)))
        with monkeypatch.context() as patch:
            patch.setattr(MilvusGroupStore, "_make", fail)
            with pytest.raises(CatalogueUnavailableError):
                await catalogue.groups.split(number, ["p00002"])
        assert (await catalogue.groups.group(number)).product_ids == (
            "p00000",
            "p00001",
            "p00002",
        )
    async with grouping(engine, guards=None) as catalogue:
        assert await asyncio.to_thread(catalogue._grouping.group_some)
        assert await partition(catalogue) == {frozenset({"p00000", "p00001"})}
        (event,) = await catalogue.groups.events_after(number, number, 9)
        assert (event.kind, event.is_by_hand) == (EventKind.SPLIT, True)


async def test_groups_go_on_from_where_they_stood_also_when_reading_that_fails_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with grouping(engine, guards=None) as catalogue:
        await write(catalogue, family(np.random.default_rng(0), 3))
        (number,) = set((await numbers(catalogue)).values())
        before = await catalogue.groups.events_after(None, 0, 9)
    async with grouping(engine, guards=None) as catalogue:
        with monkeypatch.context() as patch:
            patch.setattr(MilvusGroupReader, "state", fail)
            with pytest.raises(CatalogueUnavailableError):
                await catalogue.groups.split(number, ["p00002"])
        event = await catalogue.groups.split(number, ["p00002"])
        assert await catalogue.groups.events_after(None, 0, 9) == [*before, event]


async def test_groups_without_the_row_of_their_state_are_no_new_ones(engine: Engine) -> None:
    async with grouping(engine, guards=None) as catalogue:
        assert isinstance(catalogue, MilvusCatalogue)
        reader = MilvusGroupReader(catalogue._connection, catalogue._collections, catalogue._stored)
        assert reader.state().event == 0  # though this server has claimed them
        await write(catalogue, family(np.random.default_rng(0), 3))
        (number,) = set((await numbers(catalogue)).values())
        await catalogue.groups.split(number, ["p00002"])
        groups = catalogue._collections.groups
        catalogue._connection.delete(groups, [STATE_KEY])
        catalogue._connection.count(groups, "kind == 0", level="Strong")  # `Session` may not see it
        with pytest.raises(CatalogueUnavailableError, match="not read all"):
            reader.state()


async def test_a_page_of_groups_takes_few_reads(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    async with grouping(engine, guards=None) as catalogue:
        for first in range(0, 24, 3):
            await write(catalogue, family(generator, 3, first=first))
        await settle(catalogue)
        found = list((await groups_of(catalogue)).values())
        assert isinstance(catalogue, MilvusCatalogue)
        groups = catalogue._collections.groups
        query, conditions = MilvusConnection.query, []

        def noted(
            connection: MilvusConnection,
            collection: str,
            condition: str,
            *values: Any,
            **named: Any,
        ) -> list[Row]:
            if collection == groups:
                conditions.append(condition)
            return query(connection, collection, condition, *values, **named)

        monkeypatch.setattr(MilvusConnection, "query", noted)
        assert await catalogue.groups.groups_after(0, len(found)) == found
        assert len(found) == 8
        assert len(conditions) <= 4
        assert [await catalogue.groups.group(each.number) for each in found] == found
