"""What changed since: a window over the changes, which closes once no change can come behind.

Every write bears a timestamp that Milvus gave when its batch began, and lies under it. Batches of
several servers end in any order; so a change is told only when it is older than a batch may take.
"""

from __future__ import annotations

from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import LOGICAL_BITS, MilvusConnection
from twinshelf.server.catalogue.milvus.product_rows import DELETION, FIELDS, PRODUCT, ProductRow
from twinshelf.server.catalogue.milvus.rising_rows import greatest, rows_after
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.catalogue.product_record import ProductChange
from twinshelf.server.errors import ChangesForgottenError


class ChangeWindow:
    """Reads the changes of all servers; safe to use from any thread."""

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
            stored: Knows the state, and how products are shown.
            settle_s: Age at which a change is told; more than a batch of writes may take.
        """
        self._connection = connection
        self._collections = collections
        self._stored = stored
        self._settle_s = settle_s
        self._last = 0

    def read(self, sequence: int, count: int) -> list[ProductChange]:
        """Returns up to `count` settled changes after one, by rising sequence.

        Raises:
            ChangesForgottenError: If the catalogue has not come so far.
        """
        (now,) = self._connection.timestamps()
        self._check_known(sequence, now)
        settled = self._settled(now)
        if settled <= sequence:
            return []
        rows = rows_after(
            self._connection,
            self._collections.products,
            "change",
            (sequence, settled),
            count,
            f"kind == {PRODUCT} or kind == {DELETION}",
            FIELDS,
            # A batch may end just before its changes are told; `Bounded` might not know of it yet.
            level="Strong",
        )
        return [self._change(ProductRow.from_row(row)) for row in rows]

    def last(self) -> int:
        """Returns the number of the last change that is settled; 0 without any.

        Whoever goes on from it misses nothing: after a younger one, another server's may come
        behind it.
        """
        (now,) = self._connection.timestamps()
        span = (self._last, self._settled(now))
        self._last = greatest(self._connection, self._collections.products, "change", span)
        return self._last

    def _settled(self, now: int) -> int:
        """Returns the timestamp up to which no server can write a change any more."""
        return now - (int(self._settle_s * 1000) << LOGICAL_BITS)

    def _change(self, row: ProductRow) -> ProductChange:
        return ProductChange(
            sequence=row.change,
            product_id=row.record.product_id,
            is_deletion=row.is_deletion,
            product=None if row.is_deletion else self._stored.shown(row),
        )

    def _check_known(self, sequence: int, now: int) -> None:
        if sequence > now:
            raise ChangesForgottenError(
                f"changes after {sequence} cannot be told: the last change of this catalogue is "
                f"{self.last()}; it was replaced. Begin again from 0 with an empty copy",
                facts={"from_sequence": "0", "last_sequence": str(self.last())},
            )
