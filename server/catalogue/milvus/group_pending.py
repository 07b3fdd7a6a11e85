"""What is to be grouped: products that were written since, and those that were noted."""

from __future__ import annotations

from twinshelf.server.catalogue.groups.group_store import Pending, PendingBatch
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import LOGICAL_BITS, MilvusConnection, Row
from twinshelf.server.catalogue.milvus.group_rows import (
    GROUP_FIELDS,
    NOTE,
    GroupState,
    read_body,
)
from twinshelf.server.catalogue.milvus.grouped_rows import GroupedRows
from twinshelf.server.catalogue.milvus.product_rows import (
    DELETION,
    FIELDS,
    PRODUCT,
    MadeVectors,
    ProductRow,
)
from twinshelf.server.catalogue.milvus.rising_rows import rows_after
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.errors import CatalogueUnavailableError


class PendingProducts:
    """Reads one batch after the other.

    Attributes:
        made: What the encoder made of the products of the last batch, by number.
        product_ids: Their identifiers.
    """

    def __init__(
        self,
        connection: MilvusConnection,
        collections: Collections,
        stored: StoredRows,
        rows: GroupedRows,
        settle_s: float,
    ) -> None:
        """Takes the parts; `settle_s` as in `ChangeWindow`."""
        self.made: dict[int, MadeVectors] = {}
        self.product_ids: dict[int, str] = {}
        self._connection = connection
        self._collections = collections
        self._stored = stored
        self._rows = rows
        self._settle_s = settle_s
        self._pending: dict[int, Pending] = {}

    def read(self, state: GroupState, made_number: int, count: int) -> PendingBatch | None:
        """Returns what is to be grouped next; None for nothing.

        The first mark of the batch is the change up to which all is grouped after it; the others
        are the products whose notes it has read.

        Args:
            state: How far the groups have come.
            made_number: What stands for the vectors of the encoder.
            count: Most products, or a few more.
        """
        self.made, self.product_ids, self._pending = {}, {}, {}
        cursor = self._read_changed(state, made_number, count)
        noted: list[int] = []
        if len(self._pending) < count:
            noted = self._read_noted(state, made_number, count - len(self._pending))
        if not noted and cursor == state.cursor:
            return None
        return PendingBatch(products=tuple(self._pending.values()), marks=(cursor, *noted))

    def _read_changed(self, state: GroupState, made_number: int, count: int) -> int:
        """Reads products that were written or removed; returns the last change of them."""
        (now,) = self._connection.timestamps()
        settled = now - (int(self._settle_s * 1000) << LOGICAL_BITS)
        found = rows_after(
            self._connection,
            self._collections.products,
            "change",
            (state.cursor, settled),
            count,
            f"kind == {PRODUCT} or kind == {DELETION}",
            FIELDS,
            level="Strong",
        )
        changed = [ProductRow.from_row(row) for row in found]
        known = self._rows.by_key(row.key for row in changed)
        cursor = state.cursor
        for row in changed:
            made = row.vectors.get(made_number)
            if not row.is_deletion and made is None:
                break  # it waits, as do all after it, until the encoder has embedded it
            cursor = row.change
            for former in known.get(row.key, ()):
                if row.is_deletion or former.number != row.number:
                    self._end(former.number)
            if made is not None:
                self._look_at(row, made, state, is_noted=False)
        return cursor

    def _read_noted(self, state: GroupState, made_number: int, count: int) -> list[int]:
        """Reads noted products; returns their numbers."""
        notes: list[Row] = self._connection.query(
            self._collections.groups, f"kind == {NOTE}", GROUP_FIELDS, limit=count
        )
        rows = self._stored.rows([each["product_key"] for each in notes]) if notes else {}
        numbers = []
        for note in notes:
            number = int(read_body(note))
            numbers.append(number)
            if number in self._pending:
                continue
            row = rows.get(note["product_key"])
            if row is None:  # even of what was deleted there is one
                raise CatalogueUnavailableError("Milvus has not read all of it yet; repeat")
            if row.is_deletion or row.number != number:
                self._end(number)
            elif (made := row.vectors.get(made_number)) is not None:
                self._look_at(row, made, state, is_noted=True)
        return numbers

    def _look_at(
        self, row: ProductRow, made: MadeVectors, state: GroupState, *, is_noted: bool
    ) -> None:
        """Has a product grouped, unless its neighbours are known already."""
        known = self._rows.get(row.number)
        is_changed = known is None or known.mark != made.mark
        if is_changed or is_noted or known is None or known.basis != state.basis:
            self.made[row.number] = made
            self.product_ids[row.number] = row.record.product_id
            self._pending[row.number] = Pending(
                product=row.number, is_changed=is_changed, pattern=made.pattern
            )

    def _end(self, number: int) -> None:
        self._pending[number] = Pending(product=number, is_changed=True, pattern=None)
