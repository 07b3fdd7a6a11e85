"""What a catalogue reads of its products beside all else: indexes of encoders, and facets."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from twinshelf.server.catalogue.facets.facet_table import FacetTable
from twinshelf.server.catalogue.index.catalogue_index import CatalogueIndex
from twinshelf.server.catalogue.index.graph import IndexConfig
from twinshelf.server.catalogue.index.served_index import catch_up
from twinshelf.server.catalogue.one_machine.batch_writer import BatchWriter
from twinshelf.server.catalogue.rows.product_reader import ProductReader
from twinshelf.server.catalogue.write_item import FileItem, Task
from twinshelf.server.catalogue.write_queue import WriteQueue
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import CatalogueDamagedError, ServerStoppingError

logger = logging.getLogger(__name__)
# What comes while the last of them runs, the writer catches up with.
_CATCH_UPS = 3


class Opening:
    """Reads one index at a time, and the facets; whoever leaves meanwhile stops neither."""

    def __init__(
        self,
        *,
        folder: Path,
        products: ProductReader,
        config: IndexConfig,
        batches: BatchWriter,
        writes: WriteQueue[FileItem, object],
        tell_opened: Callable[[], None],
    ) -> None:
        """Takes the parts that it works with.

        Args:
            folder: Where the snapshots are.
            products: What is read.
            config: Those of the indexes.
            batches: Keeps up to date what was read.
            writes: Runs functions between two batches of writes.
            tell_opened: Called when an index has been opened.
        """
        self._folder = folder
        self._products = products
        self._config = config
        self._indexes, self._facets = batches.indexes, batches.facets
        self._writes = writes
        self._tell_opened = tell_opened
        self._is_closing = False
        self._opening: asyncio.Task[None] | None = None
        self._opened_digest = ""
        self._reading: asyncio.Task[None] | None = None

    async def open_index(self, contract: EncoderContract) -> None:
        """Has what an encoder embedded searched as well; a repeat does nothing.

        Raises:
            CatalogueDamagedError: If the products cannot be read.
            ServerStoppingError: If the catalogue is closing.
        """
        while contract.digest not in self._indexes.by_digest:
            if self._opening is None or self._opening.done():
                if self._is_closing:
                    raise ServerStoppingError("the server is stopping; no index is opened any more")
                self._opening = asyncio.ensure_future(self._open_index(contract))
                self._opened_digest = contract.digest
            if self._opened_digest != contract.digest:
                await asyncio.wait([self._opening])  # its failure is told to those who asked for it
                continue
            # Whoever leaves meanwhile does not stop it: the next would have to begin anew.
            await asyncio.shield(self._opening)

    async def facets(self) -> FacetTable:
        """Returns the facets of all products; waits until they are read.

        Raises:
            CatalogueDamagedError: If they cannot be read.
        """
        while (table := self._facets.table) is None:
            await asyncio.shield(self._begin_reading())
        return table

    async def close(self) -> None:
        """Opens nothing any more, and waits for what is being opened."""
        self._is_closing = True
        # In this order: the index, once opened, lets the facets be read.
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def _open_index(self, contract: EncoderContract) -> None:
        indexes = self._indexes
        async with self._remembered(lambda: indexes.begin(contract.digest), indexes.give_up):
            index = await asyncio.to_thread(
                CatalogueIndex.open, self._products, contract, self._config, self._folder
            )
            # Much may have been written: it is caught up with here, so that no write waits for it.
            for _ in range(_CATCH_UPS):
                since = await self._writes.submit(Task(function=indexes.take_since))
                assert isinstance(since, list)
                await asyncio.to_thread(catch_up, index, since)
            await self._writes.submit(Task(function=lambda: indexes.publish(index)))
        self._tell_opened()
        self._begin_reading()

    def _begin_reading(self) -> asyncio.Task[None]:
        """Reads the facets beside all else, unless that is done or under way."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(self._read_facets())
            self._reading.add_done_callback(_log_failure)
        return self._reading

    async def _read_facets(self) -> None:
        """Reads the facets, and lets them catch up in the writer's thread."""
        if self._facets.table is not None:
            return
        async with self._remembered(self._facets.begin, self._facets.give_up):
            table = await asyncio.to_thread(self._products.facets)
            await self._writes.submit(Task(function=lambda: self._facets.publish(table)))

    @asynccontextmanager
    async def _remembered(
        self, begin: Callable[[], None], give_up: Callable[[], None]
    ) -> AsyncIterator[None]:
        """Has what is written meanwhile remembered for what the body reads, until that fails."""
        await self._writes.submit(Task(function=begin))
        try:
            yield
        except BaseException as error:
            await self._writes.submit(Task(function=give_up))
            if isinstance(error, sqlite3.DatabaseError):
                raise unreadable(error) from error
            raise


def _log_failure(reading: asyncio.Task[None]) -> None:
    """Tells why the facets could not be read, also where nobody filters."""
    if not reading.cancelled() and (error := reading.exception()) is not None:
        logger.error("the facets could not be read: %s", error)


def unreadable(error: sqlite3.DatabaseError) -> CatalogueDamagedError:
    """Makes the error of a file that SQLite cannot read."""
    return CatalogueDamagedError(f"the catalogue cannot be read: {error}")
