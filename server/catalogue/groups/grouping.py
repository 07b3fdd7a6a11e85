"""The groups of a catalogue: kept by a thread of low priority beside the writes, read by anyone.

What was written since is noted in the file itself (`group_tables`), so that the thread catches up
after a crash or a pause. It waits while another encoder's products are in the catalogue: a group
that is half embedded again would fall apart and come together again.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from twinshelf.server.catalogue.groups.formation import GroupGuards
from twinshelf.server.catalogue.groups.group_reader import GroupReader
from twinshelf.server.catalogue.groups.group_writer import (
    clear_pending,
    mark_deleted,
    mark_pending,
    set_basis,
    write_lists,
    write_moves,
)
from twinshelf.server.catalogue.groups.neighbour_lists import NeighbourLists, Neighbours
from twinshelf.server.catalogue.groups.neighbour_search import find_neighbours
from twinshelf.server.catalogue.groups.regrouping import Regrouping
from twinshelf.server.catalogue.index import CatalogueIndex, RunInWriter
from twinshelf.server.catalogue.product_store import ProductStore
from twinshelf.server.catalogue.schema import open_reader
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.modalities import Pattern

logger = logging.getLogger(__name__)
BATCH_LIMIT = 64
# So that no write waits long.
_MARK_BLOCK = 4096
_LOOK_INTERVAL_S = 0.5
_RETRY_INTERVAL_S = 30.0
_NICENESS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is grouped: an index, and the contract of its encoder."""

    index: CatalogueIndex
    contract: EncoderContract


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A product that is to be grouped.

    Attributes:
        mark: Number of the note.
        product: Number of the product.
        is_changed: Whether its vector is new.
        pattern: Its modalities; None if it was deleted.
    """

    mark: int
    product: int
    is_changed: bool
    pattern: Pattern | None


class Grouping:
    """Groups what was written, until it is closed."""

    def __init__(
        self,
        *,
        path: Path,
        store: ProductStore,
        source: Callable[[], Source | None],
        run_in_writer: RunInWriter,
        guards: GroupGuards,
    ) -> None:
        """Opens the file; the thread is started by `start`.

        Args:
            path: The SQLite file.
            store: The products.
            source: Returns what can be grouped now; None while that is nothing.
            run_in_writer: Runs a function between two batches of writes.
            guards: What groups must pass.
        """
        self.reader = GroupReader(path)
        self._store = store
        self._source = source
        self._run_in_writer = run_in_writer
        self._guards = guards
        self._connection = open_reader(path)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread."""
        self._thread = threading.Thread(target=self._run, name="catalogue-grouping", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and closes the connections. A repeat is safe."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self.reader.close()
            self._connection.close()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps the groups as they stand while the body reads and changes them."""
        with self._lock:
            yield

    def write(self, change: Callable[[sqlite3.Connection], object]) -> None:
        """Commits a change of the groups, between two batches of writes."""

        def commit() -> None:
            """Runs in the thread of the writer."""
            with self._store.transaction() as writer:
                change(writer)

        self._run_in_writer(commit)

    def group_some(self) -> bool:
        """Groups some of what was written; returns whether there may be more."""
        with self._lock:
            source = self._source()
            if source is None:
                return False
            self._check_basis(source.contract)
            pending = self._read_pending(source.contract.digest)
            if not pending:
                return False
            # Whatever these notes are of is known to the index, too, once this has returned.
            self._run_in_writer(lambda: None)
            self._group(pending, source)
            return True

    def _run(self) -> None:
        # So that those who match and write have the cores.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        wait_s = _LOOK_INTERVAL_S
        while not self._closing.wait(wait_s):
            wait_s = _LOOK_INTERVAL_S
            try:
                while self.group_some() and not self._closing.is_set():
                    pass
            except Exception:  # it must outlive whatever goes wrong, a full disk above all
                logger.exception("the grouping of the catalogue failed")
                wait_s = _RETRY_INTERVAL_S

    def _check_basis(self, contract: EncoderContract) -> None:
        """Has all products grouped anew when what ties are made by has changed."""
        curves = {
            pattern.key: asdict(curve) for pattern, curve in sorted(contract.pair_curves.items())
        }
        basis = json.dumps(
            [contract.digest, curves, contract.weights.image, self._guards.neighbour_count]
        )
        (known,) = self._connection.execute("SELECT basis FROM group_state").fetchone()
        if known == basis:
            return

        last = 0
        while numbers := self._numbers_after(last):
            self.write(partial(mark_pending, products=numbers))
            last = numbers[-1]
        # Last: whoever is interrupted begins again.
        self.write(partial(set_basis, basis=basis))

    def _numbers_after(self, product: int) -> list[int]:
        rows = self._connection.execute(
            "SELECT product_number FROM products WHERE product_number > ? "
            "ORDER BY product_number LIMIT ?",
            (product, _MARK_BLOCK),
        )
        return [number for (number,) in rows]

    def _read_pending(self, digest: str) -> list[_Pending]:
        rows = self._connection.execute(
            "SELECT g.mark, g.product_number, g.is_changed, coalesce(b.pattern, v.pattern) "
            "FROM (SELECT (SELECT encoder_number FROM encoders WHERE digest = ?) AS encoder) a "
            "JOIN group_pending g LEFT JOIN product_vectors v USING (product_number) "
            "LEFT JOIN vectors_beside b ON b.product_number = g.product_number "
            "AND b.encoder_number = a.encoder AND b.pattern > 0 WHERE v.product_number IS NULL "
            "OR v.encoder_number = a.encoder OR b.pattern > 0 ORDER BY g.mark LIMIT ?",
            (digest, BATCH_LIMIT),
        ).fetchall()
        return [
            _Pending(
                mark=mark,
                product=product,
                is_changed=bool(is_changed),
                pattern=None if pattern is None else Pattern(pattern),
            )
            for mark, product, is_changed, pattern in rows
        ]

    def _group(self, pending: Sequence[_Pending], source: Source) -> None:
        marks = [each.mark for each in pending]
        found = self._search(pending, source)
        # One that was written again meanwhile is noted again; a damaged one stays where it is.
        pending = [each for each in pending if each.pattern is None or each.product in found]
        lists = NeighbourLists(
            self._connection, source.contract.pair_curves, self._guards.neighbour_count
        )
        before = {each.product: lists.ties(each.product).keys() for each in pending}
        for each in pending:
            lists.replace(each.product, found.get(each.product, {}), forget=each.is_changed)
        after = {each.product: lists.ties(each.product).keys() for each in pending}
        touched = set().union(before, lists.displaced, *before.values(), *after.values())
        lost = set(before) | lists.displaced
        lost.update(*(before[product] - after[product] for product in before))
        gone = frozenset(each.product for each in pending if each.pattern is None)
        regrouping = Regrouping(self.reader, lists.ties, self._guards, gone)
        moves = regrouping.moves(regrouping.parts_around(touched, lost), self._product_id)

        def commit(writer: sqlite3.Connection) -> None:
            """Writes all of it together."""
            write_lists(writer, lists.changed_rows())
            write_moves(writer, moves)
            clear_pending(writer, marks)
            mark_pending(writer, lists.short)
            mark_deleted(writer, found)

        self.write(commit)

    def _search(
        self, pending: Sequence[_Pending], source: Source
    ) -> dict[int, dict[Pattern, Neighbours]]:
        contract = source.contract
        found: dict[int, dict[Pattern, Neighbours]] = {}
        for pattern in {each.pattern for each in pending if each.pattern is not None}:
            numbers = np.array([each.product for each in pending if each.pattern is pattern])
            table = self._store.reader.vectors.table(
                numbers, contract.digest, pattern, contract.dimension
            )
            neighbours = find_neighbours(
                source.index, table, pattern, contract, self._guards.neighbour_count
            )
            found |= dict(zip(table.product_numbers.tolist(), neighbours, strict=True))
        return found

    def _product_id(self, product: int) -> str | None:
        row = self._connection.execute(
            "SELECT product_id FROM products WHERE product_number = ?", (product,)
        ).fetchone()
        return None if row is None else str(row[0])
