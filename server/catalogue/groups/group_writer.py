"""Writing groups: moves of products become events of the journal and rows of members."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from twinshelf.server.catalogue.groups.group_reader import NEIGHBOUR
from twinshelf.server.catalogue.groups.group_record import Move, NewGroup
from twinshelf.server.catalogue.groups.group_store import ByHand, GroupChange
from twinshelf.server.catalogue.groups.neighbour_lists import Lists
from twinshelf.server.catalogue.rows.group_tables import (
    CHECKSUMS,
    MEMBER_FIELDS,
    RENEWABLE_TABLES,
    WHOLE_MEMBERS,
)


def write_change(writer: sqlite3.Connection, change: GroupChange) -> list[int]:
    """Writes a change of groups; needs a transaction.

    Returns:
        The number of the event of each move.
    """
    write_lists(writer, change.lists)
    started: dict[NewGroup, int] = {}
    by_hand = change.by_hand
    events = [_write_move(writer, move, started, by_hand) for move in change.moves]
    if by_hand is not None:
        count_pins(writer, by_hand.pins, 1)
        count_pins(writer, by_hand.unpins, -1)
        if by_hand.undoes is not None:
            mark_undone(writer, by_hand.undoes, events[0])
    if change.grouped is not None:
        clear_pending(writer, change.grouped.marks)
    mark_pending(writer, change.unsettled)
    if change.grouped is not None:
        # Those found beside them too: of what was never grouped a deletion leaves no note.
        products = {each.product: each.pattern for each in change.grouped.products}
        gone = {product for product, pattern in products.items() if pattern is None}
        mark_deleted(writer, (products.keys() | change.lists.keys()) - gone)
    return events


def write_lists(writer: sqlite3.Connection, lists: Mapping[int, Lists]) -> None:
    """Puts the neighbour lists of products in the place of their old ones."""
    for product, by_pattern in lists.items():
        writer.execute("DELETE FROM group_neighbours WHERE product_number = ?", (product,))
        writer.executemany(
            "INSERT INTO group_neighbours VALUES (:product, :pattern, :neighbours, "
            "row_checksum(:product, :pattern, :neighbours))",
            [
                {
                    "product": product,
                    "pattern": pattern,
                    "neighbours": np.array(list(each.items()), dtype=NEIGHBOUR).tobytes(),
                }
                for pattern, each in by_pattern.items()
            ],
        )


def count_pins(writer: sqlite3.Connection, product_ids: Iterable[str], change: int) -> None:
    """Counts an event more or less by which products stay, whatever the machine finds."""
    writer.executemany(
        f"INSERT OR REPLACE INTO group_members SELECT {MEMBER_FIELDS}, "
        f"{CHECKSUMS['group_members']} FROM ("
        "SELECT product_number, product_id, group_number, max(is_pinned + ?, 0) AS is_pinned "
        f"FROM {WHOLE_MEMBERS} WHERE product_number = "
        "(SELECT product_number FROM products WHERE product_id = ?))",
        [(change, product_id) for product_id in product_ids],
    )


def mark_undone(writer: sqlite3.Connection, event: int, undone_by: int) -> None:
    """Notes which event undid another."""
    writer.execute(
        "UPDATE group_events SET undone_by = ? WHERE event_number = ?", (undone_by, event)
    )
    _seal(writer, event)


def _seal(writer: sqlite3.Connection, event: int) -> None:
    writer.execute(
        f"UPDATE group_events SET checksum = {CHECKSUMS['group_events']} WHERE event_number = ?",
        (event,),
    )


def mark_pending(writer: sqlite3.Connection, products: Iterable[int]) -> None:
    """Has products grouped anew, though their vectors have not changed."""
    writer.executemany(
        "INSERT OR IGNORE INTO group_pending (product_number, is_changed) VALUES (?, 0)",
        [(product,) for product in products],
    )


def renew(writer: sqlite3.Connection, products: Iterable[int]) -> None:
    """Has products grouped as if they were new: what is stored of them is damaged."""
    rows = [(product,) for product in products]
    for table in RENEWABLE_TABLES:
        writer.executemany(f"DELETE FROM {table} WHERE product_number = ?", rows)
    writer.executemany(
        "INSERT OR REPLACE INTO group_pending (product_number, is_changed) VALUES (?, 1)", rows
    )


def mark_deleted(writer: sqlite3.Connection, products: Iterable[int]) -> None:
    """Notes those of some products that were deleted while they were being grouped."""
    writer.executemany(
        "INSERT OR IGNORE INTO group_pending (product_number, is_changed) SELECT :product, 1 "
        "WHERE NOT EXISTS (SELECT 1 FROM products WHERE product_number = :product)",
        [{"product": product} for product in products],
    )


def clear_pending(writer: sqlite3.Connection, marks: Sequence[int]) -> None:
    """Takes the notes of products away that are grouped now."""
    writer.executemany("DELETE FROM group_pending WHERE mark = ?", [(mark,) for mark in marks])


def set_basis(writer: sqlite3.Connection, basis: str) -> None:
    """Notes what the neighbours are chosen by from now on."""
    writer.execute("UPDATE group_state SET basis = ?", (basis,))


def _write_move(
    writer: sqlite3.Connection, move: Move, started: dict[NewGroup, int], by_hand: ByHand | None
) -> int:
    target = started.get(move.target) if isinstance(move.target, NewGroup) else move.target
    event = writer.execute(
        "INSERT INTO group_events (time_us, kind, source, target, product_ids, pinned_ids, "
        "is_by_hand, undoes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            time.time_ns() // 1000,
            move.kind,
            move.source,
            target,
            json.dumps(list(move.products.values()), ensure_ascii=False),
            json.dumps(sorted(by_hand.pins) if by_hand else [], ensure_ascii=False),
            by_hand is not None,
            by_hand.undoes if by_hand else None,
        ),
    ).lastrowid
    assert event is not None
    if isinstance(move.target, NewGroup) and target is None:
        target = started[move.target] = event
        writer.execute(
            "UPDATE group_events SET target = event_number WHERE event_number = ?", (event,)
        )
    _seal(writer, event)
    if target is None:
        writer.executemany(
            "DELETE FROM group_members WHERE product_number = ?",
            [(product,) for product in move.products],
        )
    else:
        writer.executemany(
            f"INSERT OR REPLACE INTO group_members SELECT {MEMBER_FIELDS}, "
            f"{CHECKSUMS['group_members']} FROM ("
            "SELECT :product AS product_number, :id AS product_id, :target AS group_number, "
            f"coalesce((SELECT is_pinned FROM {WHOLE_MEMBERS} WHERE product_number = :product), 0) "
            "AS is_pinned)",
            [
                {"product": product, "id": product_id, "target": target}
                for product, product_id in move.products.items()
            ],
        )
    return event
