"""The catalogue of many machines: Milvus is the truth, and matching servers share it.

A server keeps nothing but caches: what the row of the encoders says, and counts. A write is
answered once Milvus has logged it and a search of this server finds it. Milvus has no
transactions: what of a product is written together stands in one row, and of two servers that
write one product in the same moment, the later one holds, even where both expected the same
`expected_change`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Final, ParamSpec, TypeVar

from twinshelf.server.catalogue.catalogue import CatalogueStats, SnapshotReport
from twinshelf.server.catalogue.change_feed import ChangeFeed
from twinshelf.server.catalogue.groups.catalogue_groups import CatalogueGroups
from twinshelf.server.catalogue.groups.formation import GroupGuards
from twinshelf.server.catalogue.groups.grouping import Grouping
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.bulk_import import BulkImport, RowFolder
from twinshelf.server.catalogue.milvus.changes import ChangeWindow
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import (
    SLOW_TIMEOUT_S,
    Level,
    MilvusConnection,
)
from twinshelf.server.catalogue.milvus.counts import Counts
from twinshelf.server.catalogue.milvus.encoders import MilvusEncoders
from twinshelf.server.catalogue.milvus.group_store import MilvusGroupStore
from twinshelf.server.catalogue.milvus.searching import MilvusSearch
from twinshelf.server.catalogue.milvus.stored import PATTERNS, StoredRows
from twinshelf.server.catalogue.milvus.upkeep import MilvusConfig, MilvusUpkeep
from twinshelf.server.catalogue.milvus.write_parts import PART_LIMIT
from twinshelf.server.catalogue.milvus.writer import MilvusWriter
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
from twinshelf.server.catalogue.write_item import Task, WriteItem, submit_deletion
from twinshelf.server.catalogue.write_queue import WriteQueue
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import query_vector
from twinshelf.server.errors import EncoderUnavailableError, TwinshelfError

_WATCHER_THREADS: Final = 4
Values = ParamSpec("Values")
Result = TypeVar("Result")


class MilvusCatalogue:
    """Products and vectors in Milvus; see `Catalogue`."""

    def __init__(
        self,
        address: MilvusAddress,
        *,
        reader_count: int,
        config: MilvusConfig | None = None,
        guards: GroupGuards | None = None,
    ) -> None:
        """Opens a catalogue, or makes it.

        Args:
            address: Where it is.
            reader_count: Searches and reads that are under way at once.
            config: How often it looks what other servers did.
            guards: What groups of the same product must pass; None lets nothing be grouped here.

        Raises:
            CatalogueFileError: If Milvus does not answer, or its client is not installed.
            CatalogueUnavailableError: If it ceases to answer.
        """
        self._config = config = config or MilvusConfig()
        self._connection = MilvusConnection(address)
        self._collections = Collections(self._connection)
        self._collections.make_products()
        self._collections.make_groups()
        self._stored = StoredRows(self._connection, self._collections)
        self._counts = Counts(self._connection, self._collections)
        # Nobody waits for the writer yet, so that this may take its time.
        self._counts.refresh(self._stored.read_state("Strong"), timeout_s=SLOW_TIMEOUT_S)
        self._search = MilvusSearch(self._connection, self._collections, self._stored)
        self._window = ChangeWindow(
            self._connection, self._collections, self._stored, config.settle_s
        )
        self._writer = MilvusWriter(self._connection, self._collections, self._stored, self._counts)
        self._writes: WriteQueue[WriteItem, object] = WriteQueue(self._writer.write, PART_LIMIT)
        self._executor = ThreadPoolExecutor(reader_count, thread_name_prefix="catalogue-reader")
        # They wait for ticks of the clock of Milvus; searches do not wait for them.
        self._watchers = ThreadPoolExecutor(
            _WATCHER_THREADS, thread_name_prefix="catalogue-watcher"
        )
        self._feed = ChangeFeed()
        self._counting: Future[bool] | None = None
        self._opened: set[str] = set()
        self.encoders = MilvusEncoders(
            collections=self._collections,
            stored=self._stored,
            counts=self._counts,
            writer=self._writer,
            writes=self._writes,
            open_index=self.open_index,
        )
        self._begin_grouping(guards)
        self._upkeep = MilvusUpkeep(
            connection=self._connection,
            collections=self._collections,
            stored=self._stored,
            count=lambda: self._writes.put(Task(function=self._refresh)).result(),
            is_outdated=self._is_outdated,
            config=config,
        )

    def _begin_grouping(self, guards: GroupGuards | None) -> None:
        self._contract: EncoderContract | None = None
        groups = MilvusGroupStore(
            self._connection, self._collections, self._stored, self._config.settle_s
        )
        self._grouping = Grouping(
            store=groups, contract=self._grouped_contract, guards=guards or GroupGuards()
        )
        self.groups = CatalogueGroups(groups)
        if guards is not None:
            self._grouping.start()

    async def close(self) -> None:
        """Finishes the writes that were accepted, and closes the connection."""
        self.end_changes()
        await asyncio.to_thread(self._grouping.close)
        await asyncio.to_thread(self._upkeep.close)
        await asyncio.to_thread(self._writes.close)
        await asyncio.to_thread(self._executor.shutdown)
        await asyncio.to_thread(self._watchers.shutdown)
        await asyncio.to_thread(self._connection.close)

    async def use_encoder(
        self, contract: EncoderContract, *, instead_of: str | None = None
    ) -> None:
        """Lets an encoder serve; see `Catalogue`."""
        before = instead_of or self.encoders.current
        await self.open_index(contract)
        self._contract = contract
        await self.encoders.serve(contract, instead_of=before)

    async def open_index(self, contract: EncoderContract) -> None:
        """Has what an encoder embedded searched as well; see `Catalogue`."""
        if contract.digest not in self._opened:
            made_number = self._stored.state.made_number(contract.digest)
            await asyncio.to_thread(self._collections.make_vectors, made_number, contract.dimension)
            self._opened.add(contract.digest)

    async def upsert(self, product: NewProduct) -> Stored:
        """Stores a product, in place of the one of the same id; see `Catalogue`."""
        result = await self._writes.submit(product)
        assert isinstance(result, Stored)
        return result

    async def import_products(
        self, batches: Iterable[Sequence[NewProduct]], folder: RowFolder
    ) -> int:
        """Fills a catalogue that never held a product, by Milvus' own import; see `BulkImport`.

        No server may serve the catalogue meanwhile.

        Args:
            batches: Products, each of another identifier, with vectors of the serving encoder.
            folder: One that Milvus reads.

        Returns:
            How many products were imported.

        Raises:
            BulkImportError: If it holds products, or Milvus fails.
        """
        state, count = self._stored.read_state("Strong"), 0
        with folder.own_part() as part:
            with closing(BulkImport(self._connection, self._collections, state, part)) as rows:
                for products in batches:
                    await rows.add(products)
                    count += len(products)
                await rows.finish()
        await self._refreshed()
        return count

    async def delete(self, product_ids: Sequence[str]) -> Deleted:
        """Removes products; see `Catalogue`."""
        # Whoever leaves meanwhile does not stop it.
        deletion = submit_deletion(self._writes.submit, product_ids, PART_LIMIT)
        return await asyncio.shield(asyncio.ensure_future(deletion))

    async def product(self, product_id: str) -> StoredProduct | None:
        """Returns one product, or None."""
        return await self._read(self._stored.product, product_id)

    async def changeable(self, product_id: str) -> ChangeableProduct | None:
        """Returns one product with its vectors, or None."""
        return await self._read(self._stored.changeable, product_id)

    async def thumbnail(self, product_id: str) -> bytes | None:
        """Returns the thumbnail of a product, or None."""
        return await self._read(self._stored.thumbnail, product_id)

    async def products_after(self, product_id: str, count: int) -> list[StoredProduct]:
        """Returns up to `count` products by rising product_id, from after the one given."""
        return await self._read(self._stored.products_after, product_id, count)

    async def changes_after(
        self, sequence: int, count: int, *, whole_until: int = 0
    ) -> list[ProductChange]:
        """Returns up to `count` changes after one; see `Catalogue`.

        The numbers are timestamps of Milvus. A change is told some seconds after it was written,
        once no server can write one that comes before it.
        """
        while True:
            turn = self._feed.turn()
            changes = await _in(self._watchers, self._window.read, sequence, count)
            if changes:
                return changes
            # Nobody is woken: what is written now is told in some seconds, and others write too.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._config.look_interval_s):
                    await self._feed.wait_after(turn)

    def end_changes(self) -> None:
        """Ends the waiting of all who wait for changes; see `Catalogue`."""
        self._feed.close()

    async def embedded_products(
        self, product_ids: Sequence[str], contract: EncoderContract
    ) -> dict[str, EmbeddedProduct]:
        """Returns products with what an encoder made of them; see `Catalogue`."""
        return await self._read(self._stored.embedded_products, product_ids, contract)

    async def search(self, query: Query) -> HitPage:
        """Returns the products most alike an offer; see `Catalogue`."""
        digest = query.contract.digest
        if not self._is_searched(digest):
            raise EncoderUnavailableError("the search index is being opened; repeat the request")
        counts = self._counts.embedded
        patterns = [pattern for pattern in PATTERNS if counts[digest, pattern]]
        if patterns:
            vector = query_vector(query.embedding, query.weights, query.contract)
            self._upkeep.note_query(digest, vector, patterns[-1])
        return await self._read(self._search.search, query, patterns)

    async def stats(self, digest: str | None) -> CatalogueStats:
        """Counts what is stored; None for a digest that is not known counts nothing as stale."""
        await self._refreshed()
        shown = digest or self.encoders.current or ""
        counts = {
            pattern: count
            for (stored, pattern), count in self._counts.embedded.items()
            if stored == shown
        }
        image_count = sum(count for pattern, count in counts.items() if pattern.has_image)
        return CatalogueStats(
            product_count=self.product_count,
            image_count=image_count,
            photo_count=image_count + self._counts.further_count(shown),
            text_count=sum(count for pattern, count in counts.items() if pattern.has_text),
            stale_product_count=self.encoders.count_missing(digest) if digest else 0,
            indexed_vector_count=self.indexed_vector_count,
            damaged_product_count=0,
            change_sequence=await self._read(self._window.last),
            history_id="",
        )

    async def snapshot(self) -> SnapshotReport:
        """Has Milvus seal what it holds: searched by graphs, and read again without the log."""
        await self._read(self._connection.flush, self._collections.products)
        digest = self.encoders.current
        if digest is not None:
            made_number = self._stored.state.made_number(digest)
            await self._read(self._connection.flush, self._collections.vectors(made_number))
        return SnapshotReport(
            vector_count=self.indexed_vector_count,
            change_sequence=await self._read(self._window.last),
        )

    @property
    def problem(self) -> TwinshelfError | None:
        """The error that every call meets now; None when nothing is known."""
        return self._upkeep.problem

    @property
    def live_recall(self) -> float:
        """Share of the exact best matches of recent queries that the index found; NaN unknown."""
        return self._upkeep.live_recall

    @property
    def product_count(self) -> int:
        """Products stored, as far as is known."""
        return self._counts.product_count

    @property
    def indexed_vector_count(self) -> int:
        """Vectors that a search by the serving encoder can return."""
        digest = self.encoders.current or ""
        if not self._is_searched(digest):
            return 0
        return self._counts.embedded_count(digest) + self._counts.further_count(digest)

    def _is_searched(self, digest: str) -> bool:
        encoders = self._stored.state.encoders
        return digest in self._opened and digest in {encoders.current, *encoders.kept}

    def _grouped_contract(self) -> EncoderContract | None:
        """That of the encoder that serves, once it has embedded all."""
        contract = self._contract
        if contract is None or contract.digest != self.encoders.current:
            return None
        if not contract.pair_curves or self.encoders.count_missing(contract.digest):
            return None
        return contract

    async def _refreshed(self) -> None:
        """Has everything counted anew, once for all who ask meanwhile: writes wait for it."""
        if self._counting is None or self._counting.done():
            self._counting = self._writes.put(Task(function=self._refresh))
        await asyncio.shield(asyncio.wrap_future(self._counting))

    def _refresh(self) -> bool:
        state = self._stored.state
        # After a switch of another server, what was written just before it counts as well.
        level: Level | None = "Strong" if self._is_outdated() else None
        return self._counts.refresh(state, level=level)

    def _is_outdated(self) -> bool:
        """Whether the encoders have changed since it was counted."""
        return self._stored.state.encoders != self._counts.encoders

    async def _read(
        self,
        function: Callable[Values, Result],
        *values: Values.args,
        **named: Values.kwargs,
    ) -> Result:
        return await _in(self._executor, function, *values, **named)


async def _in(
    executor: ThreadPoolExecutor,
    function: Callable[Values, Result],
    *values: Values.args,
    **named: Values.kwargs,
) -> Result:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, functools.partial(function, *values, **named))
