"""Groups in the SQLite file of the catalogue: read, searched and written by one process."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from twinshelf.server.catalogue.groups.group_reader import GroupReader, read_lists
from twinshelf.server.catalogue.groups.group_record import Member
from twinshelf.server.catalogue.groups.group_store import GroupChange, Pending, PendingBatch
from twinshelf.server.catalogue.groups.group_writer import (
    mark_pending,
    renew,
    set_basis,
    write_change,
)
from twinshelf.server.catalogue.groups.neighbour_lists import Lists
from twinshelf.server.catalogue.groups.neighbour_search import find_neighbours
from twinshelf.server.catalogue.index.catalogue_index import CatalogueIndex, RunInWriter
from twinshelf.server.catalogue.rows.product_store import ProductStore
from twinshelf.server.catalogue.rows.schema import open_reader
from twinshelf.server.catalogue.rows.stored_rows import stored_pattern
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import CatalogueUnavailableError

# So that no write waits long.
_MARK_BLOCK = 4096


class SqliteGroups:
    """Keeps groups in the file; see `GroupStore`."""

    def __init__(
        self,
        *,
        path: Path,
        store: ProductStore,
        index_of: Callable[[str], CatalogueIndex | None],
        run_in_writer: RunInWriter,
    ) -> None:
        """Opens the file.

        Args:
            path: The SQLite file.
            store: The products.
            index_of: Returns the index of an encoder.
            run_in_writer: Runs a function between two batches of writes.
        """
        self.reader = GroupReader(path)
        self._store = store
        self._index_of = index_of
        self._run_in_writer = run_in_writer
        self._connection = open_reader(path)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Closes the connections. A repeat is safe."""
        with self._lock:
            self.reader.close()
            self._connection.close()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps the groups as they stand while the body reads and changes them."""
        with self._lock:
            yield

    def is_free(self) -> bool:
        """There is no other server."""
        return True

    def check_basis(self, basis: str) -> None:
        """Has all products grouped anew when what ties are made by is no longer `basis`."""
        (known,) = self._connection.execute("SELECT basis FROM group_state").fetchone()
        if known == basis:
            return
        last = 0
        while numbers := self._numbers_after(last):
            self._commit(partial(mark_pending, products=numbers))
            last = numbers[-1]
        # Last: whoever is interrupted begins again.
        self._commit(partial(set_basis, basis=basis))

    def pending(self, digest: str, count: int) -> PendingBatch | None:
        """Returns what is to be grouped next of what an encoder embedded; None for nothing."""
        guard = self._store.guard
        if damaged := guard.ungrouped():
            self._commit(partial(renew, products=damaged))
            for product in damaged:
                guard.forget(product)
        rows = self._connection.execute(
            "SELECT g.mark, g.product_number, g.is_changed, coalesce(b.pattern, v.pattern) "
            "FROM (SELECT (SELECT encoder_number FROM encoders WHERE digest = ?) AS encoder) a "
            "JOIN group_pending g LEFT JOIN product_vectors v USING (product_number) "
            "LEFT JOIN vectors_beside b ON b.product_number = g.product_number "
            "AND b.encoder_number = a.encoder AND b.pattern > 0 WHERE v.product_number IS NULL "
            "OR v.encoder_number = a.encoder OR b.pattern > 0 ORDER BY g.mark LIMIT ?",
            (digest, count),
        ).fetchall()
        if not rows:
            return None
        # Whatever these notes are of is known to the index, too, once this has returned.
        self._run_in_writer(lambda: None)
        products = tuple(
            Pending(
                product=product,
                is_changed=bool(is_changed),
                pattern=None if pattern is None else stored_pattern(pattern),
            )
            for _, product, is_changed, pattern in rows
        )
        return PendingBatch(products=products, marks=tuple(row[0] for row in rows))

    def neighbours(
        self, pending: Sequence[Pending], contract: EncoderContract, count: int
    ) -> dict[int, Lists]:
        """Searches products in the index; one that was written again meanwhile is left out."""
        index = self._index_of(contract.digest)
        if index is None:  # it is opened again; what is pending stays noted
            raise CatalogueUnavailableError("the index is not there for a moment; repeat")
        found: dict[int, Lists] = {}
        for pattern in {each.pattern for each in pending if each.pattern is not None}:
            numbers = np.array([each.product for each in pending if each.pattern is pattern])
            table = self._store.reader.vectors.table(
                numbers, contract.digest, pattern, contract.dimension
            )
            numbers = table.product_numbers
            lists = find_neighbours(index, numbers, table.vectors, pattern, contract, count)
            found |= dict(zip(numbers.tolist(), lists, strict=True))
        return found

    def lists(self, product: int) -> Lists:
        """Returns the neighbour lists of a product."""
        return read_lists(self._connection, product)

    def titles(self, products: Collection[int]) -> Mapping[int, str]:
        """Returns the titles of those of some products that there are."""
        rows = self._connection.execute(
            "SELECT product_number, title FROM products "
            "WHERE product_number IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(products)),),
        )
        return {number: str(title) for number, title in rows}

    def member(self, product: int) -> Member | None:
        """Returns where a product stands; None if it is alone."""
        return self.reader.member(product)

    def members(self, group: int) -> Sequence[Member]:
        """Returns the members of a group."""
        return self.reader.members(group)

    def product_id(self, product: int) -> str | None:
        """Returns the identifier of a product; None if it is no longer there."""
        row = self._connection.execute(
            "SELECT product_id FROM products WHERE product_number = ?", (product,)
        ).fetchone()
        return None if row is None else str(row[0])

    def write(self, change: GroupChange) -> list[int]:
        """Commits a change, between two batches of writes; returns the numbers of its events."""
        events: list[int] = []
        self._commit(lambda writer: events.extend(write_change(writer, change)))
        return events

    def _commit(self, write: Callable[[sqlite3.Connection], object]) -> None:
        def commit() -> None:
            """Runs in the thread of the writer."""
            with self._store.transaction() as writer:
                write(writer)

        self._run_in_writer(commit)

    def _numbers_after(self, product: int) -> list[int]:
        rows = self._connection.execute(
            "SELECT product_number FROM products WHERE product_number > ? "
            "ORDER BY product_number LIMIT ?",
            (product, _MARK_BLOCK),
        )
        return [number for (number,) in rows]
