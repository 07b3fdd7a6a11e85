"""The groups of a catalogue for those who ask, and what a person may do with them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from twinshelf.server.catalogue.groups.group_record import (
    Group,
    GroupEvent,
    Member,
    Move,
    NewGroup,
    identifiers,
    kind_of_move,
)
from twinshelf.server.catalogue.groups.group_store import ByHand, GroupChange, GroupStore
from twinshelf.server.errors import (
    CatalogueDamagedError,
    GroupConflictError,
    GroupNotFoundError,
)

Result = TypeVar("Result")


class CatalogueGroups:
    """Reads and changes groups; see `Groups` in `server.catalogue.catalogue`."""

    def __init__(self, store: GroupStore) -> None:
        """Takes what keeps the groups."""
        self._store = store
        self._reader = store.reader

    async def group(self, number: int) -> Group:
        """Returns a group, one that ended as well."""
        return await _in_thread(self._group, number)

    async def group_of(self, product_id: str) -> Group | None:
        """Returns the group of a product; None where it is alone or not in the catalogue."""
        return await _in_thread(self._group_of, product_id)

    async def groups_after(self, number: int, count: int) -> list[Group]:
        """Returns up to `count` groups of two products or more, from after a number."""
        return await _in_thread(self._reader.groups_after, number, count)

    async def events_after(self, group: int | None, number: int, count: int) -> list[GroupEvent]:
        """Returns up to `count` events from after a number: of one group, or all."""
        if group is not None:
            await self.group(group)
        return await _in_thread(self._reader.events_after, group, number, count)

    async def pending_count(self) -> int:
        """Counts the products that were written or removed, and are not grouped yet."""
        return await _in_thread(self._reader.pending_count)

    async def merge(self, source: int, target: int) -> GroupEvent:
        """Moves all products of a group to another, for good."""
        return await _in_thread(self._merge, source, target)

    async def split(self, group: int, product_ids: Sequence[str]) -> GroupEvent:
        """Moves some products of a group to a new one, for good."""
        return await _in_thread(self._split, group, product_ids)

    async def undo(self, event: int) -> GroupEvent:
        """Moves the products of an event back to where they were."""
        return await _in_thread(self._undo, event)

    def _group(self, number: int) -> Group:
        group = self._reader.group(number)
        if group is None:
            raise GroupNotFoundError(f"there is no group {number}", facts={"group": str(number)})
        return group

    def _group_of(self, product_id: str) -> Group | None:
        number = self._reader.number_of(product_id)
        return None if number is None else self._reader.group(number)

    def _merge(self, source: int, target: int) -> GroupEvent:
        with self._store.held():
            moved, staying = self._members(source), self._members(target)
            if source == target:
                raise GroupConflictError(f"group {source} cannot be merged into itself")
            return self._move(moved, source, target, ByHand(pins=_ids([*moved, *staying])))

    def _split(self, group: int, product_ids: Sequence[str]) -> GroupEvent:
        with self._store.held():
            members = self._members(group)
            named = set(product_ids)
            moved = [each for each in members if each.product_id in named]
            if missing := sorted(named - {each.product_id for each in moved}):
                raise GroupConflictError(f"product {missing[0]!r} is not in group {group}")
            if len(moved) == len(members):
                raise GroupConflictError(f"one product must stay in group {group}, all were named")
            return self._move(moved, group, NewGroup(), ByHand(pins=_ids(members)))

    def _undo(self, number: int) -> GroupEvent:
        with self._store.held():
            event = self._reader.event(number)
            if event is None:
                raise GroupNotFoundError(f"there is no event {number}")
            if event.undone_by is not None:
                raise GroupConflictError(f"event {number} was undone by event {event.undone_by}")
            if event.source is None or event.target is None:
                raise GroupConflictError(
                    f"event {number} moved nothing between two groups, so it cannot be undone"
                )
            standing = self._reader.present_members(event.target)
            named = set(event.product_ids)
            moved = [each for each in standing if each.product_id in named]
            if not moved:
                raise GroupConflictError(
                    f"none of the products of event {number} is still in group {event.target}"
                )
            others = self._reader.present_members(event.source)
            pins = _ids([*standing, *others]) if self._is_against(event) else frozenset()
            by_hand = ByHand(pins=pins, unpins=self._reader.pinned_by(number), undoes=number)
            return self._move(moved, event.target, event.source, by_hand)

    def _is_against(self, event: GroupEvent) -> bool:
        """Whether the machine would do again what is undone, or undo again what is done once more.

        So it is with what the machine did, and with the undoing of what a person did.
        """
        is_undoing = False
        while event.undoes is not None and (undone := self._reader.event(event.undoes)) is not None:
            event, is_undoing = undone, not is_undoing
        return event.is_by_hand == is_undoing

    def _members(self, group: int) -> list[Member]:
        self._group(group)
        members = self._reader.present_members(group)
        if not members:
            raise GroupConflictError(f"group {group} has ended: it has no products")
        return members

    def _move(
        self, moved: Sequence[Member], source: int, target: int | NewGroup, by_hand: ByHand
    ) -> GroupEvent:
        is_filled = isinstance(target, NewGroup) or not self._reader.present_members(target)
        # Those who stand beside the products may belong elsewhere now.
        around = self._reader.members(source)
        is_emptied = _ids(self._reader.present_members(source)) == _ids(moved)
        if is_emptied:  # deleted products go along: the group would end by their leaving it later
            moved = around
        kind = kind_of_move(source, target, empties_source=is_emptied, fills_target=is_filled)
        move = Move(products=identifiers(moved), source=source, target=target, kind=kind)
        if not isinstance(target, NewGroup):
            around = [*around, *self._reader.members(target)]
        change = GroupChange(
            moves=[move],
            by_hand=by_hand,
            unsettled=frozenset(each.product_number for each in around),
        )
        (number,) = self._store.write(change)
        event = self._reader.event(number)
        assert event is not None
        return event


async def _in_thread(function: Callable[..., Result], *values: object) -> Result:
    try:
        return await asyncio.to_thread(function, *values)
    except sqlite3.DatabaseError as error:
        raise CatalogueDamagedError(f"the groups cannot be read: {error}") from error


def _ids(members: Sequence[Member]) -> frozenset[str]:
    return frozenset(each.product_id for each in members)
