"""The facet table that filters ask, and what is written while it is read from the products."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from twinshelf.server.catalogue.facets.facet_table import FacetTable
from twinshelf.server.catalogue.index_changes import Write
from twinshelf.server.catalogue.product_record import Deleted, NewProduct, ProductRecord, Stored

logger = logging.getLogger(__name__)


class ServedFacets:
    """Keeps the table up to date. The writer's; `table` may be read by any thread.

    Attributes:
        table: The facets of all products; None before they are read.
    """

    def __init__(self) -> None:
        """Starts without a table."""
        self.table: FacetTable | None = None
        # While a table is read. Where nobody filters, none is read for a long time.
        self._since: dict[int, ProductRecord | None] | None = None

    def begin(self) -> None:
        """Remembers what is written from now on, for the table that is read next."""
        self._since = {}

    def give_up(self) -> None:
        """Forgets what was written since `begin`, as no table comes."""
        self._since = None

    def learn(self, writes: Sequence[Write]) -> None:
        """Lets the table learn of a batch of writes."""
        changes: dict[int, ProductRecord | None] = {}
        for item, result in writes:
            if isinstance(result, Deleted):
                changes |= dict.fromkeys(result.removed)
            elif isinstance(result, Stored) and isinstance(item, NewProduct):
                changes[result.product_number] = item.record
        if self.table is None:
            if self._since is not None:
                self._since |= changes
            return
        try:
            self.table.change(changes)
            if self.table.is_worn:  # its rows are never given to other products
                self.table = None
        except Exception:  # the truth is written; the table is thrown away and read again
            logger.exception("the table of facets failed and will be read again")
            self.table = None

    def publish(self, table: FacetTable) -> None:
        """Lets a table catch up with what was written since `begin`, and has it asked."""
        table.change(self._since or {})
        self.table = table
        self._since = None
