"""The index that is searched now, and the next one while it is opened beside the writer."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from twinshelf.server.catalogue.index import CatalogueIndex
from twinshelf.server.catalogue.index_changes import IndexChanges, Write

logger = logging.getLogger(__name__)


class ServedIndex:
    """Keeps both up to date. The writer's; `current` may be read by any thread.

    Attributes:
        current: The index that is searched; None before the first is opened.
    """

    def __init__(self) -> None:
        """Starts without an index."""
        self.current: CatalogueIndex | None = None
        self._next_digest: str | None = None
        self._since: list[IndexChanges] = []

    def begin(self, digest: str) -> None:
        """Remembers what is written from now on, for the index of an encoder that will come."""
        self._next_digest = digest
        self._since = []

    def learn(self, writes: Sequence[Write]) -> None:
        """Lets the indexes learn of a batch of writes."""
        if self._next_digest is not None:
            self._since.append(IndexChanges(self._next_digest, writes))
        if self.current is None:
            return
        try:
            IndexChanges(self.current.digest, writes).apply(self.current.change)
        except Exception:  # the truth is written; the cache is thrown away and opened again
            logger.exception("the search index failed and will be opened again")
            self.current = None

    def publish(self, index: CatalogueIndex) -> None:
        """Lets an index catch up with what was written since `begin`, and has it searched."""
        for changes in self._since:
            changes.apply(index.catch_up)
        self.current = index
        self._next_digest = None
        self._since = []
