"""The indexes that are searched now, one of each encoder, and the next one while it is opened."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from twinshelf.server.catalogue.index.catalogue_index import CatalogueIndex
from twinshelf.server.catalogue.index_changes import IndexChanges, Write

logger = logging.getLogger(__name__)


class ServedIndexes:
    """Keeps all of them up to date. The writer's; `by_digest` may be read by any thread.

    Attributes:
        by_digest: The indexes that are searched, by the digests of their encoders.
    """

    def __init__(self) -> None:
        """Starts without an index."""
        self.by_digest: Mapping[str, CatalogueIndex] = {}
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
        for digest, index in self.by_digest.items():
            try:
                IndexChanges(digest, writes).apply(index.change)
            except Exception:  # the truth is written; the cache is thrown away and opened again
                logger.exception("the search index of %s failed and will be opened again", digest)
                self.keep(self.by_digest.keys() - {digest})

    def give_up(self) -> None:
        """Forgets what was written since `begin`, as no index comes."""
        self._next_digest = None
        self._since = []

    def take_since(self) -> list[IndexChanges]:
        """Returns what was written since `begin`, or since it was taken last."""
        since, self._since = self._since, []
        return since

    def publish(self, index: CatalogueIndex) -> None:
        """Lets an index catch up with what was not taken by `take_since`, and has it searched.

        One that was let go of meanwhile is not.
        """
        if self._next_digest is None:
            return
        catch_up(index, self._since)
        self.by_digest = {**self.by_digest, index.digest: index}
        self.give_up()

    def forget(self, digest: str) -> CatalogueIndex | None:
        """Lets go of the index of an encoder, also while it is opened; returns the one searched."""
        index = self.by_digest.get(digest)
        self.keep(self.by_digest.keys() - {digest})
        if self._next_digest == digest:
            self.give_up()
        return index

    def keep(self, digests: Collection[str]) -> None:
        """Lets go of all indexes but those of some encoders; what they write ends."""
        for digest, index in self.by_digest.items():
            if digest not in digests:
                index.folder.close()
        self.by_digest = {
            digest: index for digest, index in self.by_digest.items() if digest in digests
        }


def catch_up(index: CatalogueIndex, since: Sequence[IndexChanges]) -> None:
    """Lets an index that is not searched yet learn of changes, of which it may know some."""
    for changes in since:
        changes.apply(index.catch_up)
