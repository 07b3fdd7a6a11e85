"""Reading groups and their journal from Milvus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from twinshelf.server.catalogue.groups.group_record import Group, GroupEvent, Member
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import MOST_ROWS, MilvusConnection
from twinshelf.server.catalogue.milvus.group_rows import (
    CLAIM,
    EVENT,
    GROUP_FIELDS,
    NOTE,
    PRODUCT,
    REDO_KEY,
    STATE_KEY,
    GroupedProduct,
    GroupState,
    Redo,
    StoredEvent,
    event_key,
    read_body,
)
from twinshelf.server.catalogue.milvus.product_rows import product_key
from twinshelf.server.catalogue.milvus.rising_rows import rows_after
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.errors import CatalogueUnavailableError

_NEVER: Final = (1 << 63) - 1
_KEYS_AT_ONCE: Final = 1024


class MilvusGroupReader:
    """Reads for everyone; see `GroupReading`."""

    def __init__(
        self, connection: MilvusConnection, collections: Collections, stored: StoredRows
    ) -> None:
        """Takes the parts."""
        self._connection = connection
        self._collections = collections
        self._collection = collections.groups
        self._stored = stored

    def state(self) -> GroupState:
        """Returns how far the groups have come.

        Raises:
            CatalogueUnavailableError: If Milvus shows a part of what it holds, or is away.
        """
        rows = self._connection.query(self._collection, f'key == "{STATE_KEY}"', GROUP_FIELDS)
        if rows:
            return GroupState(**read_body(rows[0]))
        # The first change of groups may have been cut off before it wrote its state. Else the row
        # is never missing: taken for new, events would be numbered anew, over those there are.
        redo = self.redo()
        is_begun = redo is not None and redo.state.commit == 1
        if not is_begun and self._connection.count(self._collection, f"kind != {CLAIM}"):
            raise CatalogueUnavailableError("Milvus has not read all of the groups yet; repeat")
        return GroupState()

    def redo(self) -> Redo | None:
        """Returns the last change of groups, made or not; None before the first."""
        rows = self._connection.query(self._collection, f'key == "{REDO_KEY}"', GROUP_FIELDS)
        return Redo.from_row(rows[0]) if rows else None

    def group(self, number: int) -> Group | None:
        """Returns a group, one that ended as well; None if there never was one of the number."""
        start = self.event(number)
        if start is None or start.target != number:
            return None
        grouped = self.present(self.grouped(f"target == {number}"))
        merged_into = None
        if not grouped:
            departures = self._events(f"source == {number}")
            merged_into = departures[-1].event.target if departures else None
        return _group(start, grouped, merged_into)

    def number_of(self, product_id: str) -> int | None:
        """Returns the number of a product's group; None if it is alone or not there."""
        grouped = self.grouped(f'product_key == "{product_key(product_id)}" and target > 0')
        return next((each.group for each in self.present(grouped)), None)

    def groups_after(self, number: int, count: int) -> list[Group]:
        """Returns up to `count` groups of two products or more, from after a number."""
        found: list[Group] = []
        while len(found) < count:
            rows = rows_after(
                self._connection,
                self._collection,
                "target",
                (number, _NEVER),
                2 * count,
                f"kind == {PRODUCT}",
                GROUP_FIELDS,
            )
            if not rows:
                break
            found += self._groups_of([GroupedProduct.from_row(row) for row in rows])
            number = int(rows[-1]["target"])
        return found[:count]

    def _groups_of(self, grouped: Sequence[GroupedProduct]) -> list[Group]:
        """Returns the groups of two products or more that all of their members make."""
        members: dict[int, list[GroupedProduct]] = defaultdict(list)
        for each in sorted(self.present(grouped), key=lambda each: (each.group, each.number)):
            members[each.group].append(each)
        starts = self._starts([number for number, each in members.items() if len(each) > 1])
        return [_group(start, members[number], None) for number, start in starts.items()]

    def _starts(self, groups: Sequence[int]) -> dict[int, GroupEvent]:
        """Returns the events that groups were started by."""
        events: dict[int, GroupEvent] = {}
        for start in range(0, len(groups), _KEYS_AT_ONCE):
            block = ", ".join(f'"{event_key(each)}"' for each in groups[start:][:_KEYS_AT_ONCE])
            events |= {each.event.number: each.event for each in self._events(f"key in [{block}]")}
        return events

    def event(self, number: int) -> GroupEvent | None:
        """Returns one event of the journal, or None."""
        stored = self.stored_event(number)
        return None if stored is None else stored.event

    def stored_event(self, number: int) -> StoredEvent | None:
        """Returns one event with the products that it pinned, or None."""
        if number < 1:
            return None
        rows = self._connection.query(
            self._collection, f'key == "{event_key(number)}"', GROUP_FIELDS
        )
        return StoredEvent.from_row(rows[0]) if rows else None

    def events_after(self, group: int | None, number: int, count: int) -> list[GroupEvent]:
        """Returns up to `count` events from after a number; those of one group, or of all."""
        condition = f'key > "{event_key(number)}"'
        if group is not None:
            condition += f" and (source == {group} or target == {group})"
        return [each.event for each in self._events(condition, count)]

    def members(self, group: int) -> list[Member]:
        """Returns the members of a group, by rising number, deleted ones that it still has too."""
        members = (each.member for each in self.grouped(f"target == {group}"))
        return [member for member in members if member is not None]

    def present_members(self, group: int) -> list[Member]:
        """Returns the members of a group that are in the catalogue, by rising number."""
        grouped = self.present(self.grouped(f"target == {group}"))
        return [member for each in grouped if (member := each.member) is not None]

    def pinned_by(self, event: int) -> frozenset[str]:
        """Returns the identifiers of the products that an event pinned."""
        stored = self.stored_event(event)
        return frozenset() if stored is None else frozenset(stored.pinned_ids)

    def pending_count(self) -> int:
        """Counts the products that were written or removed, and are not grouped yet."""
        changed = f"change > {self.state().cursor}"
        return self._connection.count(self._collections.products, changed) + self._connection.count(
            self._collection, f"kind == {NOTE}"
        )

    def grouped(self, condition: str) -> list[GroupedProduct]:
        """Returns what is known of products by a condition, by rising number."""
        rows = self._connection.query(
            self._collection, f"kind == {PRODUCT} and {condition}", GROUP_FIELDS
        )
        products = [GroupedProduct.from_row(row) for row in rows]
        return sorted(products, key=lambda each: each.number)

    def present(self, grouped: Sequence[GroupedProduct]) -> list[GroupedProduct]:
        """Returns those that are in the catalogue."""
        rows = self._stored.rows([product_key(each.product_id) for each in grouped])
        numbers = {row.number for row in rows.values() if not row.is_deletion}
        return [each for each in grouped if each.number in numbers]

    def _events(self, condition: str, count: int = MOST_ROWS) -> list[StoredEvent]:
        rows = self._connection.query(
            self._collection,
            f"kind == {EVENT} and {condition}",
            GROUP_FIELDS,
            limit=count,
        )
        return [StoredEvent.from_row(row) for row in sorted(rows, key=lambda row: row["key"])]


def _group(start: GroupEvent, members: Sequence[GroupedProduct], merged_into: int | None) -> Group:
    return Group(
        number=start.number,
        product_ids=tuple(each.product_id for each in members),
        start_time_us=start.time_us,
        has_pinned=any(each.pin_count for each in members),
        merged_into=merged_into,
    )
