"""From a batch of what was submitted to the file, and from there to the counts and the indexes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twinshelf.server.catalogue.change_feed import ChangeFeed
from twinshelf.server.catalogue.index_changes import count_writes
from twinshelf.server.catalogue.product_record import NewProduct, Stored
from twinshelf.server.catalogue.product_store import ProductStore
from twinshelf.server.catalogue.served_facets import ServedFacets
from twinshelf.server.catalogue.served_index import ServedIndex
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import (
    CatalogueDamagedError,
    CatalogueFullError,
    ProductChangedError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Products that are to be removed."""

    product_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something that is done after all writes before it, and before those after it."""

    function: Callable[[], object]


WriteItem = NewProduct | Deletion | Task


class BatchWriter:
    """Writes batches, in one thread.

    Attributes:
        index: The search index, which learns of every write.
        facets: The table of facets, which does too.
        feed: Those who wait for the next write.
    """

    def __init__(self, store: ProductStore) -> None:
        """Takes the store."""
        self.index = ServedIndex()
        self.facets = ServedFacets()
        self.feed = ChangeFeed()
        self._store = store
        self._counts = store.reader.counts()
        self._further_count = store.reader.vectors.further_count()
        self._counts_lock = threading.Lock()

    @property
    def counts(self) -> Counter[tuple[str, Pattern]]:
        """Products by digest and pattern; may be asked for by any thread."""
        with self._counts_lock:
            return self._counts.copy()

    @property
    def further_count(self) -> int:
        """Photos of products after their first; may be asked for by any thread."""
        return self._further_count

    def write(self, items: Sequence[WriteItem]) -> list[object]:
        """Writes a batch; returns a result for each item, or the error with which it failed."""
        if problem := self._store.guard.find_problem():
            error = CatalogueDamagedError(f"nothing is written any more: {problem}")
            return [
                _result_of(item.function) if isinstance(item, Task) else error for item in items
            ]
        try:
            results = self._store_all(items)
        except CatalogueFullError as error:
            results = self._delete_alone(items, error)
        writes = list(zip(items, results, strict=True))
        with self._counts_lock:
            self._further_count += count_writes(writes, self._counts)
        # Before the index, so that no vector is found whose facets are not known.
        self.facets.learn(writes)
        self.index.learn(writes)
        self.feed.announce()
        # Last, for what they read from the store is there already.
        for place, item in enumerate(items):
            if isinstance(item, Task):
                results[place] = _result_of(item.function)
        return results

    def _store_all(self, items: Sequence[WriteItem]) -> list[object]:
        results: list[object] = []
        with self._store.transaction():
            for item in items:
                if isinstance(item, NewProduct):
                    results.append(self._upsert(item))
                elif isinstance(item, Deletion):
                    results.append(self._store.delete(item.product_ids))
                else:
                    results.append(None)
        return results

    def _upsert(self, product: NewProduct) -> Stored | ProductChangedError:
        try:
            return self._store.upsert(product)
        except ProductChangedError as error:  # the others of the batch are written
            return error

    def _delete_alone(self, items: Sequence[WriteItem], error: CatalogueFullError) -> list[object]:
        """Lets the deletions of a batch pass that found the disk full."""
        deletions = [item for item in items if isinstance(item, Deletion)]
        with self._store.reserve_released():
            deleted = iter(self._store_all(deletions))
        return [
            next(deleted)
            if isinstance(item, Deletion)
            else error
            if isinstance(item, NewProduct)
            else None
            for item in items
        ]


def _result_of(function: Callable[[], object]) -> object:
    try:
        return function()
    except Exception as error:  # handed to whoever waits for it
        return error
