"""What a person does with groups holds against the machine, and can be undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.groups.planted import (
    Engine,
    GroupedCatalogue,
    family,
    grouping,
    numbers,
    settle,
    write,
)
from tests.server.catalogue.one_machine.filled_catalogue import change_database
from tests.server.catalogue.rows.test_schema import write_as
from twinshelf.server.catalogue.groups.group_record import EventKind
from twinshelf.server.catalogue.one_machine.backup import back_up, restore, verify
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import DATABASE, SqliteCatalogue
from twinshelf.server.errors import CatalogueDamagedError, GroupConflictError, GroupNotFoundError

FIRST, SECOND = ("p00000", "p00001", "p00002"), ("p00003", "p00004")


@pytest.fixture
async def catalogue(engine: Engine) -> AsyncIterator[GroupedCatalogue]:
    """A catalogue with two groups, which are `FIRST` and `SECOND`."""
    generator = np.random.default_rng(0)
    async with grouping(engine, guards=None) as opened:
        await write(opened, family(generator, 3))
        await write(opened, family(generator, 2, first=3))
        yield opened


async def test_a_merge_by_hand_stays_whatever_is_written(catalogue: GroupedCatalogue) -> None:
    before = await numbers(catalogue)
    first, second = before[FIRST[0]], before[SECOND[0]]
    event = await catalogue.groups.merge(second, first)
    assert (event.kind, event.is_by_hand, event.product_ids) == (EventKind.MERGED, True, SECOND)
    assert (await catalogue.groups.group(second)).merged_into == first
    # All are embedded anew, far from one another's groups.
    await write(catalogue, family(np.random.default_rng(1), 2))
    assert await numbers(catalogue) == dict.fromkeys(FIRST + SECOND, first)
    assert (await catalogue.groups.group(first)).has_pinned


async def test_a_split_by_hand_stays_and_newcomers_choose_a_side(
    catalogue: GroupedCatalogue,
) -> None:
    before = await numbers(catalogue)
    first = before[FIRST[0]]
    event = await catalogue.groups.split(first, FIRST[2:])
    assert event.kind is EventKind.SPLIT
    await write(catalogue, family(np.random.default_rng(0), 6, first=5))
    after = await numbers(catalogue)
    assert after[FIRST[0]] == after[FIRST[1]] == first
    assert after.get(FIRST[2], event.target) == event.target
    assert after["p00005"] in (first, event.target)


@pytest.mark.parametrize("is_merge", [True, False])
async def test_an_undone_merge_or_split_leaves_things_to_the_machine_again(
    catalogue: GroupedCatalogue, is_merge: bool
) -> None:
    before = await numbers(catalogue)
    first, second = before[FIRST[0]], before[SECOND[0]]
    groups = catalogue.groups
    event = await (groups.merge(second, first) if is_merge else groups.split(first, FIRST[:1]))
    undone = await groups.undo(event.number)
    assert (undone.source, undone.target) == (event.target, event.source)
    assert undone.undoes == event.number
    (told,) = await groups.events_after(event.source, event.number - 1, 1)
    assert told.undone_by == undone.number
    assert await numbers(catalogue) == before
    assert not (await groups.group(first)).has_pinned


@pytest.mark.parametrize("is_merge", [True, False])
async def test_what_a_person_undid_and_did_again_holds(
    catalogue: GroupedCatalogue, is_merge: bool
) -> None:
    before = await numbers(catalogue)
    first, second = before[FIRST[0]], before[SECOND[0]]
    groups = catalogue.groups
    event = await (groups.merge(second, first) if is_merge else groups.split(first, FIRST[:1]))
    done = await numbers(catalogue)
    undone = await groups.undo(event.number)
    again = await groups.undo(undone.number)
    await settle(catalogue)
    assert await numbers(catalogue) == done
    await groups.undo(again.number)
    await settle(catalogue)
    assert await numbers(catalogue) == before
    assert not (await groups.group(first)).has_pinned


@pytest.mark.parametrize("is_merge", [True, False])
async def test_a_later_decision_holds_when_an_older_one_is_undone(
    catalogue: GroupedCatalogue, is_merge: bool
) -> None:
    await write(catalogue, family(np.random.default_rng(7), 2, first=5))
    before = await numbers(catalogue)
    first, second, third = (before[each] for each in (FIRST[0], SECOND[0], "p00005"))
    groups = catalogue.groups
    older = await groups.merge(second, first)
    later = await (groups.merge(third, first) if is_merge else groups.split(first, FIRST[2:]))
    await groups.undo(older.number)
    held = await numbers(catalogue)
    moved = {each: held.get(each) for each in before if held.get(each) != before[each]}
    assert moved == (dict.fromkeys(("p00005", "p00006"), first) if is_merge else {FIRST[2]: None})
    assert (await groups.group(first)).has_pinned
    await groups.undo(later.number)
    assert await numbers(catalogue) == before
    assert not any([(await groups.group(each)).has_pinned for each in (first, second, third)])


async def test_deleted_members_do_not_count(catalogue: GroupedCatalogue) -> None:
    before = await numbers(catalogue)
    first, second = before[FIRST[0]], before[SECOND[0]]
    groups = catalogue.groups
    await catalogue.delete([FIRST[2], SECOND[1]])
    with pytest.raises(GroupConflictError, match="one product must stay"):
        await groups.split(first, FIRST[:2])
    with pytest.raises(GroupConflictError, match="is not in group"):
        await groups.split(first, FIRST[2:])
    event = await groups.merge(second, first)
    await settle(catalogue)
    assert (await groups.group(second)).merged_into == first
    await catalogue.delete(SECOND[:1])
    with pytest.raises(GroupConflictError, match="none of the products"):
        await groups.undo(event.number)
    await catalogue.delete(FIRST[:2])
    with pytest.raises(GroupConflictError, match="has ended"):
        await groups.split(first, FIRST[:1])


async def test_a_restored_catalogue_gives_no_number_of_a_group_or_event_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / DATABASE
    engine, generator = Engine(place=str(tmp_path)), np.random.default_rng(0)
    given = []
    for has_groups in (False, True):
        async with grouping(engine, guards=None) as catalogue:
            if has_groups:
                await write(catalogue, family(generator, 3))
                await settle(catalogue)
            back_up(path, tmp_path / "copy")
            if not has_groups:
                await write(catalogue, family(generator, 3))
            group = (await numbers(catalogue))[FIRST[0]]
            given += [group, (await catalogue.groups.split(group, FIRST[2:])).number]
        restore(tmp_path / "copy", tmp_path)
    async with grouping(engine, guards=None) as catalogue:
        group = (await numbers(catalogue))[FIRST[0]]
        assert group in given
        assert (await catalogue.groups.split(group, FIRST[2:])).number > max(given)
    assert given == sorted(set(given))


@pytest.mark.parametrize(
    "damage",
    [
        "group_members SET group_number = (SELECT min(event_number) FROM group_events)",
        "group_members SET product_id = 'p'",
        "group_members SET product_id = CAST(x'70ff' AS TEXT)",
        "group_neighbours SET neighbours = zeroblob(16)",
    ],
)
async def test_a_damaged_row_of_groups_is_named_and_made_anew(tmp_path: Path, damage: str) -> None:
    engine, generator = Engine(place=str(tmp_path)), np.random.default_rng(0)
    async with grouping(engine, guards=None) as catalogue:
        await write(catalogue, family(generator, 2))
        await write(catalogue, family(generator, 3, first=2))
        await settle(catalogue)
        before = await numbers(catalogue)
    change_database(tmp_path, f"UPDATE {damage} WHERE product_number = 5")
    assert verify(tmp_path / DATABASE).damaged.keys() == {5}
    async with grouping(engine, guards=None) as catalogue:
        damaged = await numbers(catalogue)
        assert damaged in (before, {each: before[each] for each in before if each != "p00004"})
        assert isinstance(catalogue, SqliteCatalogue)
        await asyncio.to_thread(catalogue._store.guard.check)
        async with asyncio.timeout(60):
            # The catalogue's own check may end meanwhile, and find it once more.
            while (await catalogue.stats(None)).damaged_product_count:
                await asyncio.to_thread(catalogue._grouping.group_some)
        assert await numbers(catalogue) == before
    assert verify(tmp_path / DATABASE).is_clean


@pytest.mark.parametrize(
    "damage",
    [
        "time_us = time_us + 1",
        "kind = 99",
        "target = 7",
        "product_ids = '[\"'",
        "product_ids = CAST(x'5bff' AS TEXT)",
        "undone_by = 7",
    ],
)
async def test_a_damaged_event_is_told_to_nobody(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(place=str(tmp_path))
    async with grouping(engine, guards=None) as catalogue:
        await write(catalogue, family(np.random.default_rng(0), 3))
        await settle(catalogue)
        (group,) = await catalogue.groups.groups_after(0, 10)
        await catalogue.groups.split(group.number, ("p00002",))
        first, *_, last = await catalogue.groups.events_after(None, 0, 10)
    assert verify(tmp_path / DATABASE).is_clean
    assert first.number == group.number
    which = f"event_number = {first.number}"
    change_database(tmp_path, f"UPDATE group_events SET {damage} WHERE {which}")
    found = verify(tmp_path / DATABASE)
    assert not found.is_clean
    assert (found.damaged_events, found.details) == ([first.number], "1 damaged events of groups")
    async with grouping(engine, guards=None) as catalogue:
        named = f"event {first.number} of the groups is damaged"
        with pytest.raises(CatalogueDamagedError, match=named):
            await catalogue.groups.events_after(None, 0, 10)
        with pytest.raises(CatalogueDamagedError, match=named):
            await catalogue.groups.undo(first.number)
        assert last in await catalogue.groups.events_after(None, first.number, 10)
        # What stands in the group is known without it.
        listed = await catalogue.groups.groups_after(0, 10)
        assert [each.product_ids for each in listed] == [("p00000", "p00001")]
        assert listed[0].start_time_us is None
        assert isinstance(catalogue, SqliteCatalogue)
        await asyncio.to_thread(catalogue._store.guard.check)
        assert named in caplog.text
        assert (await catalogue.stats(None)).damaged_product_count == 0


@pytest.mark.parametrize("version", [4, 5])
async def test_groups_of_an_earlier_schema_stay(tmp_path: Path, version: int) -> None:
    engine = Engine(place=str(tmp_path))
    async with grouping(engine, guards=None) as catalogue:
        await write(catalogue, family(np.random.default_rng(0), 3))
        await settle(catalogue)
        before = await numbers(catalogue)
    write_as(tmp_path / DATABASE, version)
    async with grouping(engine, guards=None) as catalogue:
        assert await numbers(catalogue) == before
    assert verify(tmp_path / DATABASE).is_clean


async def test_a_merge_of_the_machine_that_is_undone_does_not_come_again(
    catalogue: GroupedCatalogue,
) -> None:
    await settle(catalogue)
    apart = await numbers(catalogue)
    second = apart[SECOND[0]]
    # The second group is embedded like the first.
    await write(catalogue, family(np.random.default_rng(0), 2, first=3))
    await settle(catalogue)
    merged = await numbers(catalogue)
    assert len(set(merged.values())) == 1
    (event,) = [
        each
        for each in await catalogue.groups.events_after(None, 0, 10)
        if each.kind is EventKind.MERGED
    ]
    undone = await catalogue.groups.undo(event.number)
    await write(catalogue, family(np.random.default_rng(0), 1, first=3))
    assert await numbers(catalogue) == apart
    assert (await catalogue.groups.group(second)).has_pinned
    await catalogue.groups.undo(undone.number)
    await settle(catalogue)
    assert await numbers(catalogue) == merged
    assert not (await catalogue.groups.group(second)).has_pinned


async def test_what_cannot_be_done_is_refused_in_a_sentence(catalogue: GroupedCatalogue) -> None:
    before = await numbers(catalogue)
    first, second = before[FIRST[0]], before[SECOND[0]]
    groups = catalogue.groups
    with pytest.raises(GroupNotFoundError, match="no group 99"):
        await groups.merge(99, first)
    with pytest.raises(GroupConflictError, match="into itself"):
        await groups.merge(first, first)
    with pytest.raises(GroupConflictError, match="'p00004' is not in group"):
        await groups.split(first, ["p00004"])
    with pytest.raises(GroupConflictError, match="one product must stay"):
        await groups.split(first, FIRST)
    with pytest.raises(GroupConflictError, match="moved nothing between two groups"):
        await groups.undo(first)
    with pytest.raises(GroupNotFoundError, match="no event 99"):
        await groups.undo(99)
    event = await groups.merge(second, first)
    with pytest.raises(GroupConflictError, match="has ended"):
        await groups.split(second, ["p00004"])
    undone = await groups.undo(event.number)
    with pytest.raises(GroupConflictError, match=f"undone by event {undone.number}"):
        await groups.undo(event.number)
    await groups.merge(second, first)
    await catalogue.delete(SECOND)
    await settle(catalogue)
    with pytest.raises(GroupConflictError, match="none of the products"):
        await groups.undo(undone.number + 1)
