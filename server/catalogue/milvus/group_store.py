"""Groups on Milvus, which several matching servers keep together.

One of them holds the groups at a time (`group_lease`). What is to be grouped follows from the
changes of the products: a cursor stands behind the last one that is grouped. Milvus knows no
transactions, so a change of groups is first noted as a whole, in one row, and then made; whoever
holds the groups next makes it again if it was cut off.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import numpy as np

from twinshelf.server.catalogue.groups.group_record import GroupEvent, Member, Move, NewGroup
from twinshelf.server.catalogue.groups.group_store import (
    ByHand,
    GroupChange,
    Pending,
    PendingBatch,
)
from twinshelf.server.catalogue.groups.neighbour_lists import Lists
from twinshelf.server.catalogue.groups.neighbour_search import find_neighbours
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import MilvusConnection, Row
from twinshelf.server.catalogue.milvus.group_lease import GroupLease
from twinshelf.server.catalogue.milvus.group_pending import PendingProducts
from twinshelf.server.catalogue.milvus.group_reader import MilvusGroupReader
from twinshelf.server.catalogue.milvus.group_rows import (
    NO_GROUP,
    GroupedProduct,
    GroupState,
    Redo,
    StoredEvent,
    grouped_key,
    note_key,
    note_row,
)
from twinshelf.server.catalogue.milvus.group_search import NearestVectors
from twinshelf.server.catalogue.milvus.grouped_rows import GroupedRows
from twinshelf.server.catalogue.milvus.product_rows import (
    product_key,
)
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import CatalogueUnavailableError

_TITLES_REMEMBERED: Final = 100_000


class MilvusGroupStore:
    """Keeps groups in Milvus; see `GroupStore`."""

    def __init__(
        self,
        connection: MilvusConnection,
        collections: Collections,
        stored: StoredRows,
        settle_s: float,
    ) -> None:
        """Takes the parts.

        Args:
            connection: The connection.
            collections: Names the collections.
            stored: Reads products and vectors.
            settle_s: Age at which a change is grouped; see `ChangeWindow`.
        """
        self.reader = MilvusGroupReader(connection, collections, stored)
        self._connection = connection
        self._collections = collections
        self._collection = collections.groups
        self._stored = stored
        self._lease = GroupLease(connection, self._collection, settle_s)
        self._lock = threading.Lock()
        self._state = GroupState()
        self._rows = GroupedRows(self.reader)
        self._titles: dict[int, str] = {}
        self._pending = PendingProducts(connection, collections, stored, self._rows, settle_s)

    def close(self) -> None:
        """Lets other servers hold the groups."""
        with self._lock:
            self._lease.release()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps the groups as they stand; see `GroupStore`."""
        with self._lock:
            try:
                if self._lease.take():
                    self._recover()
            except Exception:  # whoever takes them again must read what it did not read here
                self._lease.release()
                raise
            try:
                yield
            except CatalogueUnavailableError:
                # What was cut off is found and finished when the groups are taken again.
                self._lease.release()
                raise

    def is_free(self) -> bool:
        """Tells whether no other server holds the groups, or waits for them."""
        with self._lock:
            if self._lease.is_wanted():
                self._lease.release()
                return False
            return True

    def check_basis(self, basis: str) -> None:
        """Has all products grouped anew when what ties are made by is no longer `basis`."""
        mark = hashlib.blake2b(basis.encode(), digest_size=8).hexdigest()
        if self._state.basis != mark:
            self._commit([], [], replace(self._state, basis=mark, cursor=0))

    def pending(self, digest: str, count: int) -> PendingBatch | None:
        """Returns what is to be grouped next of what an encoder embedded; None for nothing."""
        made_number = self._stored.state.made_number(digest)
        batch = self._pending.read(self._state, made_number, count)
        if len(self._titles) > _TITLES_REMEMBERED:
            self._titles.clear()
        for each in batch.products if batch is not None else ():  # they were written since
            self._titles.pop(each.product, None)
        return batch

    def neighbours(
        self, pending: Sequence[Pending], contract: EncoderContract, count: int
    ) -> dict[int, Lists]:
        """Searches products; one that was written again meanwhile is left out."""
        made_number = self._stored.state.made_number(contract.digest)
        nearest = NearestVectors(self._connection, self._collections, self._stored, made_number)
        found: dict[int, Lists] = {}
        for pattern in {each.pattern for each in pending if each.pattern is not None}:
            made = {
                each.product: self._pending.made[each.product]
                for each in pending
                if each.pattern is pattern
            }
            vectors = self._stored.vectors(contract.digest, made_number, made, "Strong")
            if not vectors:
                continue
            numbers = np.array(list(vectors), dtype=np.int64)
            rows = np.stack([each.vector for each in vectors.values()])
            lists = find_neighbours(nearest, numbers, rows, pattern, contract, count)
            found |= dict(zip(numbers.tolist(), lists, strict=True))
        self._pending.product_ids |= nearest.product_ids
        self._rows.fetch(
            other for lists in found.values() for each in lists.values() for other in each
        )
        return found

    def lists(self, product: int) -> Lists:
        """Returns the neighbour lists of a product."""
        grouped = self._rows.get(product)
        if grouped is None:
            return {}
        self._rows.fetch(other for each in grouped.lists.values() for other in each)
        return {pattern: dict(each) for pattern, each in grouped.lists.items()}

    def titles(self, products: Collection[int]) -> Mapping[int, str]:
        """Returns the titles of those of some products that there are."""
        unknown = set(products) - self._titles.keys()
        self._rows.fetch(unknown - self._pending.product_ids.keys())
        ids = [product_id for each in unknown if (product_id := self.product_id(each)) is not None]
        rows = self._stored.products(ids).values() if ids else ()
        self._titles |= {row.number: row.record.title for row in rows}
        return {each: self._titles[each] for each in products if each in self._titles}

    def member(self, product: int) -> Member | None:
        """Returns where a product stands; None if it is alone."""
        grouped = self._rows.get(product)
        return None if grouped is None else grouped.member

    def members(self, group: int) -> Sequence[Member]:
        """Returns the members of a group."""
        return self.reader.members(group)

    def product_id(self, product: int) -> str | None:
        """Returns the identifier of a product; None if it is no longer there."""
        product_id = self._pending.product_ids.get(product)
        if product_id is None:
            grouped = self._rows.get(product)
            return None if grouped is None else grouped.product_id
        return product_id

    def write(self, change: GroupChange) -> list[int]:
        """Makes a change; returns the number of the event of each move."""
        state = replace(self._state, cursor=self._cursor_after(change))
        rows: dict[int, GroupedProduct] = {}
        for product, lists in change.lists.items():
            if (grouped := self._known(product, rows)) is not None:
                rows[product] = replace(grouped, lists=lists)
        events: list[StoredEvent] = []
        started: dict[NewGroup, int] = {}
        for move in change.moves:
            number = state.event + 1
            state = replace(state, event=number)
            events.append(_event(move, number, started, change.by_hand))
            for product, product_id in move.products.items():
                grouped = self._known(product, rows) or GroupedProduct(
                    number=product, product_id=product_id
                )
                target = events[-1].event.target or NO_GROUP
                rows[product] = replace(grouped, group=target)
        written = [event.to_row() for event in events]
        if change.by_hand is not None:
            self._pin(change.by_hand, rows)
            if change.by_hand.undoes is not None:
                written.append(self._undone(change.by_hand.undoes, events[0].event.number))
        ended = self._settle(change, rows)
        noted = [self._known(product, rows) for product in change.unsettled]
        written += [note_row(each) for each in noted if each is not None]
        written += [each.to_row() for each in rows.values() if each.key not in ended]
        self._commit(written, sorted(ended - {row["key"] for row in written}), state)
        gone = {e.product for e in _grouped(change) if e.pattern is None}
        self._rows.learn({n: each for n, each in rows.items() if n not in gone}, gone)
        return [event.event.number for event in events]

    def _known(self, product: int, rows: dict[int, GroupedProduct]) -> GroupedProduct | None:
        """Returns a row as it will be; that of a product that was never grouped is new."""
        grouped = rows.get(product) or self._rows.get(product)
        if grouped is None and (product_id := self._pending.product_ids.get(product)) is not None:
            return GroupedProduct(number=product, product_id=product_id)
        return grouped

    def _cursor_after(self, change: GroupChange) -> int:
        return self._state.cursor if change.grouped is None else change.grouped.marks[0]

    def _pin(self, by_hand: ByHand, rows: dict[int, GroupedProduct]) -> None:
        known = self._rows.by_key(product_key(each) for each in by_hand.pins | by_hand.unpins)
        for grouped in self.reader.present([each for group in known.values() for each in group]):
            standing = rows.get(grouped.number, grouped)
            change = (grouped.product_id in by_hand.pins) - (grouped.product_id in by_hand.unpins)
            pin_count = max(standing.pin_count + change, 0)
            rows[grouped.number] = replace(standing, pin_count=pin_count)

    def _undone(self, number: int, undone_by: int) -> Row:
        stored = self.reader.stored_event(number)
        assert stored is not None
        return replace(stored, event=replace(stored.event, undone_by=undone_by)).to_row()

    def _settle(self, change: GroupChange, rows: dict[int, GroupedProduct]) -> set[str]:
        """Notes what was grouped; returns the keys of rows that end: notes, and products gone."""
        if change.grouped is None:
            return set()
        ended = {note_key(number) for number in change.grouped.marks[1:]}
        for each in change.grouped.products:
            grouped = self._known(each.product, rows)
            if each.pattern is None:
                ended.add(grouped_key(each.product))
            elif grouped is not None and each.product in change.lists:
                mark = self._pending.made[each.product].mark
                rows[each.product] = replace(grouped, mark=mark, basis=self._state.basis)
        return ended

    def _commit(self, rows: list[Row], ended: list[str], state: GroupState) -> None:
        self._lease.renew()
        redo = Redo(rows=rows, ended=ended, state=replace(state, commit=self._state.commit + 1))
        self._connection.upsert(self._collection, [redo.to_row()])
        self._make(redo)

    def _make(self, redo: Redo) -> None:
        self._connection.upsert(self._collection, redo.rows)
        self._connection.delete(self._collection, redo.ended)
        self._connection.upsert(self._collection, [redo.state.to_row()])
        self._connection.wait_until_seen(self._collection)
        self._state = redo.state

    def _recover(self) -> None:
        """Reads the state, and finishes a change that was cut off."""
        self._rows.forget()
        self._titles.clear()
        self._connection.query(self._collection, 'key == ""', ["key"], level="Strong", limit=1)
        self._state = self.reader.state()
        redo = self.reader.redo()
        if redo is not None and redo.state.commit > self._state.commit:
            self._make(redo)


def _grouped(change: GroupChange) -> Sequence[Pending]:
    return () if change.grouped is None else change.grouped.products


def _event(
    move: Move, number: int, started: dict[NewGroup, int], by_hand: ByHand | None
) -> StoredEvent:
    target = move.target
    if isinstance(target, NewGroup):
        target = started.setdefault(target, number)
    event = GroupEvent(
        number=number,
        time_us=time.time_ns() // 1000,
        kind=move.kind,
        source=move.source,
        target=target,
        product_ids=tuple(move.products.values()),
        is_by_hand=by_hand is not None,
        undoes=by_hand.undoes if by_hand else None,
        undone_by=None,
    )
    return StoredEvent(event=event, pinned_ids=tuple(sorted(by_hand.pins)) if by_hand else ())
