"""From a batch of what was submitted to the file, and from there to the counts and the indexes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from twinshelf.server.catalogue.change_feed import ChangeFeed
from twinshelf.server.catalogue.facets.served_facets import ServedFacets
from twinshelf.server.catalogue.index.served_index import ServedIndexes
from twinshelf.server.catalogue.index_changes import count_writes
from twinshelf.server.catalogue.product_record import (
    Deleted,
    Dropped,
    NewProduct,
    NewVector,
    Stored,
    count_products,
)
from twinshelf.server.catalogue.rows.product_store import ProductStore
from twinshelf.server.catalogue.write_item import Deletion, FileItem, Task, VectorDrop
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import (
    CatalogueDamagedError,
    CatalogueFullError,
    EncoderChangedError,
    EncoderConflictError,
    ProductChangedError,
)

# Products or vectors that are removed at once on a full disk; .1 MB of log for each is plenty.
_REMOVED_AT_ONCE = 32


class BatchWriter:
    """Writes batches, in one thread.

    Attributes:
        indexes: The search indexes, which learn of every write.
        facets: The table of facets, which does too.
        feed: Those who wait for the next write.
    """

    def __init__(self, store: ProductStore) -> None:
        """Takes the store."""
        self.indexes = ServedIndexes()
        self.facets = ServedFacets()
        self.feed = ChangeFeed()
        self._store = store
        self._counts = store.reader.counts()
        self._further_counts = store.reader.vectors.further_counts()
        self._product_count = store.reader.product_count()
        self._counts_lock = threading.Lock()

    @property
    def product_count(self) -> int:
        """Products stored; may be asked for by any thread."""
        return self._product_count

    @property
    def counts(self) -> Counter[tuple[str, Pattern]]:
        """Vectors by digest and pattern; may be asked for by any thread."""
        with self._counts_lock:
            return self._counts.copy()

    def further_count(self, digest: str) -> int:
        """Counts the photos after the first that an encoder has embedded; for any thread."""
        with self._counts_lock:
            return self._further_counts[digest]

    def count_missing(self, digest: str) -> int:
        """Counts the products that an encoder has not embedded; may be asked for by any thread."""
        with self._counts_lock:
            embedded = (n for (stored, _), n in self._counts.items() if stored == digest)
            return self._product_count - sum(embedded)

    def write(self, items: Sequence[FileItem]) -> list[object]:
        """Writes a batch; returns a result for each item, or the error with which it failed."""
        try:
            results = self._store_all(items)
        except CatalogueDamagedError as damage:  # a task tells by itself whether it must write
            return [item.result() if isinstance(item, Task) else damage for item in items]
        except CatalogueFullError as error:
            results = self._remove_alone(items, error)
        else:
            self._learn(items, results)
        self.feed.announce()
        # Last, for what they read from the store is there already.
        for place, item in enumerate(items):
            if isinstance(item, Task):
                results[place] = item.result()
        return results

    def _store_all(self, items: Sequence[FileItem]) -> list[object]:
        results: list[object] = []
        with self._store.transaction():
            for item in items:
                if isinstance(item, NewProduct | NewVector | VectorDrop):
                    results.append(self._write_one(item))
                elif isinstance(item, Deletion):
                    results.append(self._store.delete(item.product_ids))
                else:
                    results.append(None)
        return results

    def _write_one(
        self, item: NewProduct | NewVector | VectorDrop
    ) -> Stored | Dropped | ProductChangedError | EncoderChangedError | EncoderConflictError:
        try:
            if isinstance(item, NewProduct):
                return self._store.upsert(item)
            if isinstance(item, NewVector):
                return self._store.add_vector(item)
            return self._store.drop_some(item.digest, item.count)
        except (ProductChangedError, EncoderChangedError, EncoderConflictError) as error:
            return error  # the others of the batch are written

    def _learn(self, items: Sequence[FileItem], results: Sequence[object]) -> None:
        """Lets all that is kept in memory learn of what was written."""
        writes = list(zip(items, results, strict=True))
        with self._counts_lock:
            count_writes(writes, self._counts, self._further_counts)
            self._product_count += count_products(results)
        # Before the index, so that no vector is found whose facets are not known.
        self.facets.learn(writes)
        self.indexes.learn(writes)

    def _remove_alone(self, items: Sequence[FileItem], error: CatalogueFullError) -> list[object]:
        """Lets what a batch removes pass that found the disk full."""
        with self._store.reserve_released():
            return [
                self._delete_by_parts(item)
                if isinstance(item, Deletion)
                else self._write_alone(replace(item, count=min(item.count, _REMOVED_AT_ONCE)))
                if isinstance(item, VectorDrop)
                else None
                if isinstance(item, Task)
                else error
                for item in items
            ]

    def _delete_by_parts(self, deletion: Deletion) -> object:
        """Removes few products at a time: SQLite's log of all of them would have no room.

        What was removed before an error is not told; a repeat goes on.
        """
        product_ids = tuple(dict.fromkeys(deletion.product_ids))
        parts: list[Deleted] = []
        for start in range(0, len(product_ids), _REMOVED_AT_ONCE):
            some = product_ids[start : start + _REMOVED_AT_ONCE]
            part = self._write_alone(Deletion(product_ids=some))
            if not isinstance(part, Deleted):
                return part
            parts.append(part)
        return Deleted.joined(parts)

    def _write_alone(self, item: Deletion | VectorDrop) -> object:
        try:
            results = self._store_all([item])
        except CatalogueFullError as error:
            return error
        self._learn([item], results)
        return results[0]
