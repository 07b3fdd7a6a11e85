"""Products that Milvus imports from files, into a catalogue that holds none.

Vectors and thumbnails come first. Once all of them are seen, the rows of the products follow: who
is cut off leaves vectors that no product names. The rows are those that a batch of writes makes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import (
    SLOW_TIMEOUT_S,
    MilvusConnection,
    Row,
)
from twinshelf.server.catalogue.milvus.import_task import BulkImportError
from twinshelf.server.catalogue.milvus.product_rows import DELETION, PRODUCT
from twinshelf.server.catalogue.milvus.state import CatalogueState
from twinshelf.server.catalogue.milvus.write_batch import WriteBatch
from twinshelf.server.catalogue.product_record import NewProduct

# Milvus gives them to all of its data nodes.
_AT_ONCE: Final = 4
_LOOK_INTERVAL_S: Final = 0.5
# Of files that Milvus has read whole, until queries show them.
_LONGEST_WAIT_S: Final = 600.0
_PAGE: Final = 1000
_ANY_KEY: Final = 'key > ""'


class RowFiles(Protocol):
    """Rows of one collection, written into one file after the other."""

    def add(self, rows: Sequence[Row]) -> str | None:
        """Writes rows; returns the path of the file once it is full, and so has been closed."""

    def close(self) -> str | None:
        """Closes the file that is being written; returns its path, or None without one."""


class RowFolder(Protocol):
    """A folder of files that Milvus reads; servers do without what writes them."""

    def own_part(self) -> AbstractContextManager[Self]:
        """Makes a folder within, for one run, and removes it with all that lies there."""

    def row_files(self, name: str, fields: Sequence[Row], types: Any) -> RowFiles:
        """Returns what takes the rows of a collection.

        Args:
            name: That of the collection, with which the names of the files begin.
            fields: Its fields, as Milvus describes them.
            types: The types of fields that Milvus knows.
        """

    def seen_by_milvus(self, path: str) -> str:
        """Returns how Milvus calls a file of the folder."""

    def remove(self, path: str) -> None:
        """Removes a file."""


@dataclass(slots=True, kw_only=True)
class _Target:
    """A collection into which rows are imported.

    Attributes:
        collection: Its name.
        condition: Which of its rows are of this import.
        files: Takes the rows.
        row_count: Rows that were written into files.
    """

    collection: str
    condition: str
    files: RowFiles
    row_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """A file that Milvus reads.

    Attributes:
        collection: Where its rows go.
        path: Its path.
        task: Number of the task of Milvus.
    """

    collection: str
    path: str
    task: int


class BulkImport:
    """Writes the files, and has Milvus read them. Nobody else may write the catalogue meanwhile."""

    def __init__(
        self,
        connection: MilvusConnection,
        collections: Collections,
        state: CatalogueState,
        folder: RowFolder,
    ) -> None:
        """Begins without a product.

        Args:
            connection: Reads the files.
            collections: Names and makes collections.
            state: The state of the catalogue, which knows the encoder of the products.
            folder: Where the files go; whoever made it removes it.

        Raises:
            BulkImportError: If the catalogue holds products, or will.
        """
        self._connection = connection
        self._collections = collections
        self._state = state
        self._folder = folder
        self._targets: dict[str, _Target] = {}
        self._readings: deque[_Reading] = deque()
        # Files of products: they wait until all vectors are seen.
        self._waiting: list[str] = []
        self._check_empty()
        self._remove_thumbnails()
        (self._first,) = connection.timestamps()

    async def add(self, products: Sequence[NewProduct]) -> None:
        """Writes products, each of another identifier; what is full of vectors is imported.

        Raises:
            BulkImportError: If Milvus fails.
        """
        await asyncio.sleep(0)  # whoever interrupts need not wait for a whole file
        if not products:
            return
        batch = WriteBatch(
            self._connection,
            self._collections,
            self._state,
            rows={},
            others={},
            lost=frozenset(),
            timestamps=self._connection.timestamps(len(products)),
            begun_s=time.monotonic(),
        )
        for product in products:
            batch.upsert(product)
        for made_number, rows in batch.vector_rows().items():
            vectors = self._collections.vectors(made_number)
            if path := self._write(vectors, f"version >= {self._first}", rows):
                await self._read(vectors, path)
        if rows := batch.thumbnail_rows():
            self._collections.make_thumbnails()
            thumbnails = self._collections.thumbnails
            if path := self._write(thumbnails, _ANY_KEY, rows):
                await self._read(thumbnails, path)
        rows = batch.product_rows()
        if path := self._write(self._collections.products, f"change >= {self._first}", rows):
            self._waiting.append(path)

    async def finish(self) -> None:
        """Has the rest imported, the products last, and waits until queries show all of it.

        Raises:
            BulkImportError: If Milvus fails.
        """
        products = self._targets.get(self._collections.products)
        if products is None:
            return
        others = [target for target in self._targets.values() if target is not products]
        for target in others:
            if path := target.files.close():
                await self._read(target.collection, path)
        await self._settle(others)
        if path := products.files.close():
            self._waiting.append(path)
        for path in self._waiting:
            await self._read(products.collection, path)
        await self._settle([products])

    def close(self) -> None:
        """Ends the files that are being written, so that they can be removed."""
        for target in self._targets.values():
            target.files.close()

    def _check_empty(self) -> None:
        """An import does not replace rows of the same key; not even notes of deletions."""
        products = self._collections.products
        condition = f"kind == {PRODUCT} or kind == {DELETION}"
        if self._connection.count(products, condition, level="Strong", timeout_s=SLOW_TIMEOUT_S):
            raise BulkImportError(
                "only a catalogue that never held a product can be filled by import: load without "
                "--import-folder"
            )
        if any(not task.is_failed for task in self._connection.import_tasks(products)):
            raise BulkImportError(
                "an earlier import into this catalogue was cut off, and Milvus may not have ended "
                "it: in a minute, load without --import-folder"
            )

    def _remove_thumbnails(self) -> None:
        """Removes those that an import has left which was cut off."""
        if not self._collections.has_thumbnails():
            return
        thumbnails = self._collections.thumbnails
        while left := self._connection.query(
            thumbnails, _ANY_KEY, ["key"], level="Strong", limit=_PAGE
        ):
            self._connection.delete(thumbnails, [row["key"] for row in left])

    def _write(self, collection: str, condition: str, rows: Sequence[Row]) -> str | None:
        """Writes rows into a file; returns the path of one that is full."""
        target = self._targets.get(collection)
        if target is None:
            fields = self._connection.fields(collection)
            files = self._folder.row_files(collection, fields, self._connection.types)
            target = _Target(collection=collection, condition=condition, files=files)
            self._targets[collection] = target
        target.row_count += len(rows)
        return target.files.add(rows)

    async def _read(self, collection: str, path: str) -> None:
        """Has Milvus read a file; waits while it reads as many as it may."""
        while len(self._readings) >= _AT_ONCE:
            await self._end(self._readings.popleft())
        seen = self._folder.seen_by_milvus(path)
        task = self._connection.begin_import(collection, seen)
        self._readings.append(_Reading(collection=collection, path=path, task=task))

    async def _end(self, reading: _Reading) -> None:
        """Waits until Milvus has read a file, and removes it."""
        while not (task := self._connection.import_task(reading.task)).is_completed:
            if task.is_failed:
                raise BulkImportError(
                    f"Milvus failed to import into {reading.collection}: {task.reason}"
                )
            await asyncio.sleep(_LOOK_INTERVAL_S)
        self._folder.remove(reading.path)

    async def _settle(self, targets: Iterable[_Target]) -> None:
        """Waits until Milvus has read all, and queries show it: that is some seconds later."""
        while self._readings:
            await self._end(self._readings.popleft())
        deadline_s = time.monotonic() + _LONGEST_WAIT_S
        for target in targets:
            while (count := self._count(target)) < target.row_count:
                if time.monotonic() > deadline_s:
                    raise BulkImportError(
                        f"Milvus has imported {target.row_count:,} rows into {target.collection}, "
                        f"but shows {count:,} of them"
                    )
                await asyncio.sleep(_LOOK_INTERVAL_S)
            if count > target.row_count:
                raise BulkImportError(
                    f"{target.collection} holds {count:,} rows where {target.row_count:,} were "
                    "imported: somebody else wrote meanwhile, or Milvus read a file twice"
                )

    def _count(self, target: _Target) -> int:
        return self._connection.count(
            target.collection, target.condition, level="Strong", timeout_s=SLOW_TIMEOUT_S
        )
