"""The catalogue of one machine: SQLite is the truth, the search index a cache over it.

A write is answered after the commit and after the index has learnt of it, so that whoever has the
answer also finds the product.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeVar

from twinshelf.server.catalogue.catalogue import CatalogueStats, SnapshotReport
from twinshelf.server.catalogue.disk_room import NO_ROOM
from twinshelf.server.catalogue.groups.catalogue_groups import CatalogueGroups
from twinshelf.server.catalogue.groups.formation import GroupGuards
from twinshelf.server.catalogue.groups.grouping import Grouping
from twinshelf.server.catalogue.groups.sqlite_groups import SqliteGroups
from twinshelf.server.catalogue.index.graph import IndexConfig
from twinshelf.server.catalogue.index.graph_build import BuildStoppedError
from twinshelf.server.catalogue.one_machine.batch_writer import BatchWriter
from twinshelf.server.catalogue.one_machine.catalogue_encoders import CatalogueEncoders
from twinshelf.server.catalogue.one_machine.opening import Opening, unreadable
from twinshelf.server.catalogue.one_machine.search_queue import SearchQueue
from twinshelf.server.catalogue.one_machine.searching import Search, search_products
from twinshelf.server.catalogue.one_machine.upkeep import Upkeep, UpkeepConfig
from twinshelf.server.catalogue.product_record import (
    ChangeableProduct,
    Deleted,
    EmbeddedProduct,
    NewProduct,
    ProductChange,
    Stored,
    StoredProduct,
)
from twinshelf.server.catalogue.ranking import HitPage, Query
from twinshelf.server.catalogue.rows.file_guard import lock_folder
from twinshelf.server.catalogue.rows.product_store import ProductStore
from twinshelf.server.catalogue.rows.schema import CatalogueFileError
from twinshelf.server.catalogue.write_item import FileItem, Task, submit_deletion
from twinshelf.server.catalogue.write_queue import WriteQueue
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import query_vector
from twinshelf.server.errors import (
    CatalogueDamagedError,
    CatalogueFullError,
    EncoderUnavailableError,
    ServerStoppingError,
)

DATABASE = "catalogue.sqlite"
WRITE_BATCH_LIMIT = 256
_DELETED_AT_ONCE = 256
Read = TypeVar("Read")


class SqliteCatalogue:
    """Products on disk, and their vectors in mapped files and in memory; see `Catalogue`."""

    def __init__(
        self,
        folder: Path,
        *,
        reader_count: int,
        config: IndexConfig | None = None,
        upkeep: UpkeepConfig | None = None,
        guards: GroupGuards | None = None,
    ) -> None:
        """Opens the catalogue of a folder, or makes it.

        Args:
            folder: Where it is kept.
            reader_count: Threads that search and read.
            config: Those of the search index.
            upkeep: When it is checked, and snapshots are written.
            guards: What groups of the same product must pass; None lets nothing be grouped.

        Raises:
            CatalogueFileError: If another process serves it, or it cannot be read.
        """
        self._folder = folder
        self._lock_file, self._store, self._batches = _open_files(folder)
        self._indexes = self._batches.indexes
        self._contract: EncoderContract | None = None
        self._executor = ThreadPoolExecutor(reader_count, thread_name_prefix="catalogue-reader")
        self._searches: SearchQueue[Search, HitPage] = SearchQueue(
            lambda searches: search_products(searches, self._store.reader),
            # More batches than cores would only be smaller ones.
            min(reader_count, os.cpu_count() or 1),
        )
        self._writes: WriteQueue[FileItem, object] = WriteQueue(
            self._batches.write, WRITE_BATCH_LIMIT
        )
        self.encoders = CatalogueEncoders(
            store=self._store,
            batches=self._batches,
            writes=self._writes,
            read=self._read,
            open_index=self.open_index,
        )
        self._upkeep = Upkeep(
            store=self._store,
            indexes=lambda: self._indexes.by_digest.values(),
            run_in_writer=self._run_in_writer,
            config=upkeep or UpkeepConfig(),
        )
        self._opening = Opening(
            folder=folder,
            products=self._store.reader,
            config=config or IndexConfig(slot_count=reader_count),
            batches=self._batches,
            writes=self._writes,
            tell_opened=self._upkeep.wake,
        )
        self._begin_grouping(guards)

    def _begin_grouping(self, guards: GroupGuards | None) -> None:
        groups = SqliteGroups(
            path=self._folder / DATABASE,
            store=self._store,
            index_of=lambda digest: self._indexes.by_digest.get(digest),
            run_in_writer=self._run_in_writer,
        )
        self._grouping = Grouping(
            store=groups, contract=self._grouped_contract, guards=guards or GroupGuards()
        )
        self.groups = CatalogueGroups(groups)
        if guards is not None:
            self._grouping.start()

    async def close(self) -> None:
        """Writes a last snapshot, finishes the writes that were accepted, and frees the files."""
        self.end_changes()
        # SQLite ends the process when a connection is closed that another thread reads by.
        await self._opening.close()
        await asyncio.to_thread(self._grouping.close)
        await asyncio.to_thread(self._upkeep.close)
        await asyncio.to_thread(self._writes.close)
        await self.encoders.close()
        await asyncio.to_thread(self._searches.close)
        await asyncio.to_thread(self._executor.shutdown)
        self._store.close()
        self._lock_file.close()

    async def use_encoder(
        self, contract: EncoderContract, *, instead_of: str | None = None
    ) -> None:
        """Lets an encoder serve; see `Catalogue`."""
        before = instead_of or self.encoders.current
        await self.open_index(contract)
        self._contract = contract
        await self.encoders.serve(contract, instead_of=before)

    async def open_index(self, contract: EncoderContract) -> None:
        """Opens the index of an encoder beside the writer; see `Catalogue`."""
        await self._opening.open_index(contract)

    async def upsert(self, product: NewProduct) -> Stored:
        """Stores a product, in place of the one of the same id; see `Catalogue`."""
        result = await self._writes.submit(product)
        assert isinstance(result, Stored)
        return result

    async def delete(self, product_ids: Sequence[str]) -> Deleted:
        """Removes products; see `Catalogue`."""
        # Whoever leaves meanwhile does not stop it.
        deletion = submit_deletion(self._writes.submit, product_ids, _DELETED_AT_ONCE)
        return await asyncio.shield(asyncio.ensure_future(deletion))

    async def product(self, product_id: str) -> StoredProduct | None:
        """Returns one product, or None."""
        return await self._read(lambda: self._store.reader.product(product_id))

    async def changeable(self, product_id: str) -> ChangeableProduct | None:
        """Returns one product with its vector, or None."""
        return await self._read(lambda: self._store.reader.changeable(product_id))

    async def thumbnail(self, product_id: str) -> bytes | None:
        """Returns the thumbnail of a product, or None."""
        return await self._read(lambda: self._store.reader.thumbnail(product_id))

    async def products_after(self, product_id: str, count: int) -> list[StoredProduct]:
        """Returns up to `count` products by rising product_id, from after the one given."""
        return await self._read(lambda: self._store.reader.products_after(product_id, count))

    async def changes_after(
        self, sequence: int, count: int, *, whole_until: int = 0
    ) -> list[ProductChange]:
        """Returns up to `count` changes after one; see `Catalogue`."""
        feed = self._batches.feed
        while True:
            turn = feed.turn()
            changes = await self._read(
                lambda: self._store.reader.changes_after(sequence, count, whole_until)
            )
            if changes:
                return changes
            await feed.wait_after(turn)

    def end_changes(self) -> None:
        """Ends the waiting of all who wait for changes; see `Catalogue`."""
        self._batches.feed.close()

    async def embedded_products(
        self, product_ids: Sequence[str], contract: EncoderContract
    ) -> dict[str, EmbeddedProduct]:
        """Returns products with what an encoder made of them; see `Catalogue`."""
        return await self._read(lambda: self._store.reader.embedded_products(product_ids, contract))

    async def search(self, query: Query) -> HitPage:
        """Returns the products most alike an offer; see `Catalogue`."""
        index = self._indexes.by_digest.get(query.contract.digest)
        if index is None:
            raise EncoderUnavailableError("the search index is being opened; repeat the request")
        vector = query_vector(query.embedding, query.weights, query.contract)
        self._upkeep.note_query(index, vector, query.weights.pattern)
        needs_facets = query.condition is not None or query.value_limit is not None
        facets = await self._opening.facets() if needs_facets else None
        search = Search(index=index, query=query, vector=vector, facets=facets)
        try:
            return await self._searches.submit(search)
        except sqlite3.DatabaseError as error:
            raise unreadable(error) from error

    async def stats(self, digest: str | None) -> CatalogueStats:
        """Counts what is stored; None for a digest that is not known counts nothing as stale."""
        reader = self._store.reader
        change_sequence = await self._read(reader.change_sequence)
        shown = digest or self.encoders.current
        counts = {
            pattern: count
            for (stored, pattern), count in self._batches.counts.items()
            if stored == shown
        }
        image_count = sum(n for pattern, n in counts.items() if pattern.has_image)
        return CatalogueStats(
            product_count=self.product_count,
            image_count=image_count,
            photo_count=image_count + self._batches.further_count(shown or ""),
            text_count=sum(n for pattern, n in counts.items() if pattern.has_text),
            stale_product_count=self.encoders.count_missing(digest) if digest else 0,
            indexed_vector_count=self.indexed_vector_count,
            damaged_product_count=self._store.guard.damaged_count,
            change_sequence=change_sequence,
            history_id=await self._read(lambda: reader.catalogue_id),
        )

    async def snapshot(self) -> SnapshotReport:
        """Writes a snapshot of the index; see `Catalogue`."""
        try:
            await self._upkeep.snapshot()
        except BuildStoppedError as error:
            raise ServerStoppingError(f"the server is stopping: {error}") from error
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise CatalogueFullError(
                "the disk of the catalogue is full; no snapshot was written"
            ) from error

        def report() -> SnapshotReport:
            """Counts between two batches of writes, of which half may be in the index else."""
            return SnapshotReport(
                vector_count=self.indexed_vector_count,
                change_sequence=self._store.reader.change_sequence(),
            )

        made = await self._writes.submit(Task(function=report))
        assert isinstance(made, SnapshotReport)
        return made

    @property
    def problem(self) -> CatalogueDamagedError | None:
        """Why the catalogue cannot be trusted; None when nothing is known."""
        problem = self._store.guard.find_problem()
        return None if problem is None else CatalogueDamagedError(problem)

    @property
    def live_recall(self) -> float:
        """Share of the exact best matches of recent queries that the index found; NaN unknown."""
        return self._upkeep.live_recall

    @property
    def product_count(self) -> int:
        """Products stored."""
        return self._batches.product_count

    @property
    def indexed_vector_count(self) -> int:
        """Vectors that a search can return."""
        index = self._indexes.by_digest.get(self.encoders.current or "")
        return 0 if index is None else len(index)

    # In the readers' threads.

    async def _read(self, read: Callable[[], Read]) -> Read:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, read)
        except sqlite3.DatabaseError as error:
            raise unreadable(error) from error

    # In the threads of the upkeep and of the grouping.

    def _grouped_contract(self) -> EncoderContract | None:
        """That of the encoder that serves, once it has embedded all; its index is open then."""
        contract = self._contract
        if contract is None or contract.digest != self.encoders.current:
            return None
        if contract.digest not in self._indexes.by_digest or not contract.pair_curves:
            return None
        return None if self.encoders.count_missing(contract.digest) else contract

    def _run_in_writer(self, function: Callable[[], Read]) -> Read:
        result: Read = self._writes.put(Task(function=function)).result()
        return result


def _open_files(folder: Path) -> tuple[IO[str], ProductStore, BatchWriter]:
    """Keeps other processes out of a folder, which is made where there is none, and opens it."""
    with contextlib.ExitStack() as stack:
        lock_file = stack.enter_context(lock_folder(folder))
        try:
            store = ProductStore(folder / DATABASE)
            batches = BatchWriter(store)
        except sqlite3.DatabaseError as error:
            raise CatalogueFileError(
                f"the catalogue in {folder} cannot be opened: {error}"
            ) from error
        stack.pop_all()
    return lock_file, store, batches
