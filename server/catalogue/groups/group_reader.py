"""Reading groups and their journal from the SQLite file."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twinshelf.server.catalogue.groups.group_record import EventKind, Group, GroupEvent, Member
from twinshelf.server.catalogue.groups.neighbour_lists import Lists
from twinshelf.server.catalogue.rows.group_tables import (
    CHECKSUMS,
    EVENT_FIELDS,
    WHOLE_MEMBERS,
    WHOLE_NEIGHBOURS,
)
from twinshelf.server.catalogue.rows.schema import open_reader
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import CatalogueDamagedError

# How the neighbours of a product lie in one value.
NEIGHBOUR = np.dtype([("number", np.int64), ("score", np.float64)])


class GroupReader:
    """Reads through one connection; safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        """Opens the file."""
        self._connection = open_reader(path)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Closes the connection, once nobody reads by it; a repeat is safe."""
        with self._lock:
            self._connection.close()

    def group(self, number: int) -> Group | None:
        """Returns a group, one that ended as well; None if there never was one of the number.

        Raises:
            CatalogueDamagedError: If it has no members, and the event that tells why is damaged.
        """
        members = self._select(
            f"SELECT p.product_id, m.is_pinned FROM {WHOLE_MEMBERS} m "
            "JOIN products p USING (product_number) WHERE m.group_number = ? "
            "ORDER BY product_number",
            (number,),
        )
        try:
            start = self.event(number)
        except CatalogueDamagedError:
            if not members:
                raise
            start_time_us = None
        else:
            if start is None or start.target != number:
                return None
            start_time_us = start.time_us
        last = [] if members else self._events("source = ?", (number,), 1, order="DESC")
        return Group(
            number=number,
            product_ids=tuple(product_id for product_id, _ in members),
            start_time_us=start_time_us,
            has_pinned=any(is_pinned for _, is_pinned in members),
            merged_into=last[0].target if last else None,
        )

    def number_of(self, product_id: str) -> int | None:
        """Returns the number of a product's group; None if it is alone or not there."""
        rows = self._select(
            "SELECT m.group_number FROM products p "
            f"JOIN {WHOLE_MEMBERS} m USING (product_number) WHERE p.product_id = ?",
            (product_id,),
        )
        return rows[0][0] if rows else None

    def groups_after(self, number: int, count: int) -> list[Group]:
        """Returns up to `count` groups of two products or more, from after a number."""
        numbers = self._select(
            f"SELECT m.group_number FROM {WHOLE_MEMBERS} m "
            "JOIN products p USING (product_number) WHERE m.group_number > ? "
            "GROUP BY m.group_number HAVING count(*) > 1 ORDER BY m.group_number LIMIT ?",
            (number, count),
        )
        groups = (self.group(row[0]) for row in numbers)
        return [group for group in groups if group is not None]

    def event(self, number: int) -> GroupEvent | None:
        """Returns one event of the journal, or None.

        Raises:
            CatalogueDamagedError: If it is damaged.
        """
        events = self._events("event_number = ?", (number,), 1)
        return events[0] if events else None

    def events_after(self, group: int | None, number: int, count: int) -> list[GroupEvent]:
        """Returns up to `count` events from after a number; those of one group, or of all.

        Raises:
            CatalogueDamagedError: If one of them is damaged; names it.
        """
        if group is None:
            return self._events("event_number > ?", (number,), count)
        # Two searches of two indexes; one condition with OR would read the whole journal.
        return self._events(
            "event_number IN (SELECT event_number FROM group_events "
            "WHERE source = ? AND event_number > ? UNION SELECT event_number FROM group_events "
            "WHERE target = ? AND event_number > ?)",
            (group, number, group, number),
            count,
        )

    def members(self, group: int) -> list[Member]:
        """Returns the members of a group, by rising number, deleted ones that it still has too."""
        return self._members("WHERE group_number = ?", group)

    def present_members(self, group: int) -> list[Member]:
        """Returns the members of a group that are in the catalogue, by rising number."""
        return self._members("JOIN products USING (product_number) WHERE group_number = ?", group)

    def member(self, product: int) -> Member | None:
        """Returns where a product stands; None if it is alone."""
        members = self._members("WHERE product_number = ?", product)
        return members[0] if members else None

    def pinned_by(self, event: int) -> frozenset[str]:
        """Returns the identifiers of the products that an event pinned."""
        rows = self._select("SELECT pinned_ids FROM group_events WHERE event_number = ?", (event,))
        return frozenset(json.loads(rows[0][0]))

    def pending_count(self) -> int:
        """Counts the products that were written or removed, and are not grouped yet."""
        return int(self._select("SELECT count(*) FROM group_pending", ())[0][0])

    def _events(
        self, condition: str, values: Sequence[object], count: int, *, order: str = "ASC"
    ) -> list[GroupEvent]:
        rows = self._select(
            f"SELECT checksum = {CHECKSUMS['group_events']}, {EVENT_FIELDS} FROM group_events "
            f"WHERE {condition} ORDER BY event_number {order} LIMIT {count}",
            values,
        )
        return [_event(row) for row in rows]

    def _members(self, which: str, number: int) -> list[Member]:
        rows = self._select(
            "SELECT product_number, m.product_id, group_number, is_pinned "
            f"FROM {WHOLE_MEMBERS} m {which} ORDER BY product_number",
            (number,),
        )
        return [
            Member(
                product_number=product,
                product_id=product_id,
                group=group,
                is_pinned=bool(is_pinned),
            )
            for product, product_id, group, is_pinned in rows
        ]

    def _select(self, statement: str, values: Sequence[object]) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


def read_lists(reader: sqlite3.Connection, product: int) -> Lists:
    """Returns the neighbour lists of a product."""
    lists: Lists = {}
    stored = reader.execute(
        f"SELECT pattern, neighbours FROM {WHOLE_NEIGHBOURS} WHERE product_number = ?",
        (product,),
    ).fetchall()
    for pattern, blob in stored:
        rows = np.frombuffer(blob, dtype=NEIGHBOUR)
        pairs = zip(rows["number"].tolist(), rows["score"].tolist(), strict=True)
        lists[Pattern(pattern)] = dict(pairs)
    return lists


def _event(row: tuple[Any, ...]) -> GroupEvent:
    is_whole, number, time_us, kind, source, target, product_ids, _, is_by_hand, *undoing = row
    if not is_whole:
        raise CatalogueDamagedError(
            f"event {number} of the groups is damaged; the history goes on after {number}"
        )
    undoes, undone_by = undoing
    return GroupEvent(
        number=number,
        time_us=time_us,
        kind=EventKind(kind),
        source=source,
        target=target,
        product_ids=tuple(json.loads(product_ids)),
        is_by_hand=bool(is_by_hand),
        undoes=undoes,
        undone_by=undone_by,
    )
