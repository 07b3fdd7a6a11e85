"""The catalogue: what products there are, and which of them an offer resembles.

SQLite is the truth, the search index a cache over it. A write is answered after the commit and
after the index has learnt of it, so that whoever has the answer also finds the product.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from server.catalogue.index import CatalogueIndex
from server.catalogue.product_record import Deleted, NewProduct, Stored, StoredProduct
from server.catalogue.product_store import ProductStore
from server.catalogue.ranking import Hit, HitPage, Query, Ranked, rank
from server.catalogue.schema import CatalogueFileError
from server.catalogue.vector_index import IndexSettings
from server.catalogue.write_queue import WriteQueue
from server.encoders.contract import EncoderContract
from server.encoders.embedding import query_vector, score_products
from server.encoders.modalities import Pattern
from server.errors import EncoderUnavailableError

logger = logging.getLogger(__name__)
WRITE_BATCH_LIMIT = 256
# Products that are read at once for a page, so that one that is cut reads hardly more than it has.
PAGE_BLOCK = 64
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueStats:
    """Counts of the catalogue.

    Attributes:
        product_count: Products stored.
        image_count: Products with an embedded photo.
        text_count: Products with an embedded text.
        stale_product_count: Products that another encoder embedded.
        indexed_vector_count: Vectors that a search can return.
        change_sequence: Number of the last change.
    """

    product_count: int
    image_count: int
    text_count: int
    stale_product_count: int
    indexed_vector_count: int
    change_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delete:
    product_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Serve:
    contract: EncoderContract


class Catalogue:
    """Products on disk and their vectors in memory. The methods belong to one event loop."""

    def __init__(
        self, folder: Path, *, reader_count: int, settings: IndexSettings | None = None
    ) -> None:
        """Opens the catalogue of a folder, or makes it.

        Args:
            folder: Where it is kept.
            reader_count: Threads that search and read.
            settings: Those of the search index.

        Raises:
            CatalogueFileError: If another process serves it, or it cannot be read.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = settings or IndexSettings()
        self._lock_file = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.close()
            raise CatalogueFileError(f"{folder} is served by another process") from None
        try:
            self._store = ProductStore(folder / "catalogue.sqlite")
        except BaseException:
            self._lock_file.close()
            raise
        self._counts = self._store.counts()
        self._counts_lock = threading.Lock()
        self._index: CatalogueIndex | None = None
        self._executor = ThreadPoolExecutor(reader_count, thread_name_prefix="catalogue-reader")
        self._writes: WriteQueue[NewProduct | _Delete | _Serve, object] = WriteQueue(
            self._process, WRITE_BATCH_LIMIT
        )

    async def close(self) -> None:
        """Finishes the writes that were accepted and frees the files."""
        await asyncio.to_thread(self._writes.close)
        await asyncio.to_thread(self._executor.shutdown)
        self._store.close()
        self._lock_file.close()

    async def use_encoder(self, contract: EncoderContract) -> None:
        """Makes the catalogue search with an encoder; builds the index when it has another one."""
        if self._index is None or self._index.digest != contract.digest:
            await self._writes.submit(_Serve(contract=contract))

    async def upsert(self, product: NewProduct) -> Stored:
        """Stores a product, in place of the one of the same id.

        Raises:
            ServerStoppingError: If the catalogue is closing.
        """
        result = await self._writes.submit(product)
        assert isinstance(result, Stored)
        return result

    async def delete(self, product_ids: Sequence[str]) -> Deleted:
        """Removes products.

        Raises:
            ServerStoppingError: If the catalogue is closing.
        """
        result = await self._writes.submit(_Delete(product_ids=tuple(product_ids)))
        assert isinstance(result, Deleted)
        return result

    async def product(self, product_id: str) -> StoredProduct | None:
        """Returns one product, or None."""
        return await self._read(lambda: self._store.product(product_id))

    async def products_after(self, product_id: str, count: int) -> list[StoredProduct]:
        """Returns up to `count` products by rising product_id, from after the one given."""
        return await self._read(lambda: list(self._store.products_after(product_id, count)))

    async def search(self, query: Query) -> HitPage:
        """Returns the products most alike an offer, best first, scored exactly, cut to a page.

        Raises:
            EncoderUnavailableError: If the index of the query's encoder is not built yet.
        """
        index = self._index
        if index is None or index.digest != query.contract.digest:
            raise EncoderUnavailableError("the search index is being built; repeat the request")
        return await self._read(lambda: self._search(index, query))

    def stale_counts(self, digest: str) -> dict[str, int]:
        """Counts the products that other encoders than the given one embedded, by digest."""
        stale: Counter[str] = Counter()
        with self._counts_lock:
            for (stored, _), count in self._counts.items():
                if stored != digest and count:
                    stale[stored] += count
        return dict(stale)

    async def stats(self, digest: str | None) -> CatalogueStats:
        """Counts what is stored; None for a digest that is not known counts nothing as stale."""
        change_sequence = await self._read(self._store.change_sequence)
        with self._counts_lock:
            counts = dict(self._counts)
        return CatalogueStats(
            product_count=sum(counts.values()),
            image_count=sum(n for (_, pattern), n in counts.items() if pattern.has_image),
            text_count=sum(n for (_, pattern), n in counts.items() if pattern.has_text),
            stale_product_count=sum(self.stale_counts(digest).values()) if digest else 0,
            indexed_vector_count=self.indexed_vector_count,
            change_sequence=change_sequence,
        )

    @property
    def product_count(self) -> int:
        """Products stored; may be asked for by any thread."""
        with self._counts_lock:
            return sum(self._counts.values())

    @property
    def indexed_vector_count(self) -> int:
        """Vectors that a search can return; may be asked for by any thread."""
        index = self._index
        return 0 if index is None else len(index)

    async def _read(self, read: Callable[[], Read]) -> Read:
        return await asyncio.get_running_loop().run_in_executor(self._executor, read)

    def _search(self, index: CatalogueIndex, query: Query) -> HitPage:
        contract = query.contract
        vector = query_vector(query.embedding, query.weights, contract)
        numbers = index.search(vector, query.weights.pattern, query.candidate_count)
        start_s = time.perf_counter()
        with self._store.snapshot():
            # By product and not by vector version: a product that is replaced just now is scored by
            # its new vector instead of vanishing for a moment.
            block = self._store.vectors_by_number(
                numbers.tolist(), contract.digest, contract.dimension
            )
            scores = score_products(query.embedding, query.weights, block.vectors, contract)
            ranked = rank(scores, block.product_ids, query)
            rescore_s = time.perf_counter() - start_s
            numbers_of = block.product_numbers
            placed = [(int(numbers_of[item.position]), item) for item in ranked]
            hits, next_skip_count = self._page(placed, query)
        return HitPage(hits=tuple(hits), next_skip_count=next_skip_count, rescore_s=rescore_s)

    def _page(
        self, ranked: Sequence[tuple[int, Ranked]], query: Query
    ) -> tuple[list[Hit], int | None]:
        """Reads the products of hits until the page is full; needs a snapshot."""
        hits: list[Hit] = []
        size_bytes = 0
        for start in range(query.skip_count, len(ranked), PAGE_BLOCK):
            block = ranked[start : start + PAGE_BLOCK]
            products = self._store.products_by_number([number for number, _ in block])
            for number, item in block:
                product = products[number]
                size_bytes += product.record.size_bytes
                if hits and size_bytes > query.page_limit_bytes:
                    return hits, query.skip_count + len(hits)
                hits.append(Hit(product=product, ranked=item))
        return hits, None

    # In the writer's thread.

    def _process(self, items: Sequence[NewProduct | _Delete | _Serve]) -> list[object]:
        results: list[object] = []
        with self._store.transaction():
            for item in items:
                if isinstance(item, NewProduct):
                    results.append(self._store.upsert(item))
                elif isinstance(item, _Delete):
                    results.append(self._store.delete(item.product_ids))
                else:
                    results.append(None)
        try:
            for item, result in zip(items, results, strict=True):
                self._learn(item, result)
            if self._index is not None:
                self._index.rebuild_churned(self._store)
        except Exception:  # the truth is written; the cache is thrown away and built again
            logger.exception("the search index failed and will be built again")
            self._index = None
            self._counts = self._store.counts()
        # Last, for what is built is read from the store, where this batch is written already.
        for item in items:
            if isinstance(item, _Serve):
                self._build_index(item.contract)
        return results

    def _build_index(self, contract: EncoderContract) -> None:
        if self._index is None or self._index.digest != contract.digest:
            self._index = CatalogueIndex.build(self._store, contract, self._settings)

    def _learn(self, item: NewProduct | _Delete | _Serve, result: object) -> None:
        """Brings counts and index up to a change that was committed."""
        if isinstance(result, Stored):
            assert isinstance(item, NewProduct)
            self._learn_stored(item, result)
        elif isinstance(result, Deleted):
            for number, version, digest, pattern in result.removed:
                self._count(digest, pattern, -1)
                if self._index is not None and self._index.digest == digest:
                    self._index.retire(pattern, number, version)

    def _learn_stored(self, item: NewProduct, result: Stored) -> None:
        if result.old is not None:
            self._count(*result.old, -1)
        self._count(item.digest, item.pattern, 1)
        index = self._index
        if index is None or not result.vector_changed:
            return
        number, version = result.product_number, result.vector_version
        if item.digest == index.digest:
            index.add(item.pattern, number, version, item.vector)
        if result.old is not None and result.old[0] == index.digest:
            index.retire(result.old[1], number, version - 1)

    def _count(self, digest: str, pattern: Pattern, change: int) -> None:
        with self._counts_lock:
            self._counts[digest, pattern] += change
