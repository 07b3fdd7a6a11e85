"""The encoders of a catalogue: which one serves, and which are kept beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from twinshelf.server.catalogue.encoder_state import (
    EncoderState,
    missing_error,
    only_vectors_error,
)
from twinshelf.server.catalogue.index.snapshot import remove_snapshot
from twinshelf.server.catalogue.one_machine.batch_writer import BatchWriter
from twinshelf.server.catalogue.product_record import Dropped, NewVector, Stored, UnembeddedProduct
from twinshelf.server.catalogue.rows.product_store import ProductStore
from twinshelf.server.catalogue.write_item import FileItem, Task, VectorDrop
from twinshelf.server.catalogue.write_queue import WriteQueue
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import EncoderConflictError

# Vectors that one transaction removes: writes wait for no longer.
_DROP_BLOCK = 256
Result = TypeVar("Result")


class CatalogueEncoders:
    """The encoders of an SQLite catalogue; see `Encoders`."""

    def __init__(
        self,
        *,
        store: ProductStore,
        batches: BatchWriter,
        writes: WriteQueue[FileItem, object],
        read: Callable[[Callable[[], list[UnembeddedProduct]]], Awaitable[list[UnembeddedProduct]]],
        open_index: Callable[[EncoderContract], Awaitable[None]],
    ) -> None:
        """Takes the parts that it works with.

        Args:
            store: The products.
            batches: Knows counts and indexes.
            writes: Runs functions between two batches of writes.
            read: Runs a function in a thread that may read the products.
            open_index: Has the vectors of an encoder searched.
        """
        self._store = store
        self._batches = batches
        self._writes = writes
        self._read = read
        self._open_index = open_index
        self._drops: dict[str, asyncio.Task[int]] = {}

    @property
    def current(self) -> str | None:
        """Digest of the encoder that serves; None before the first."""
        return self._store.encoders.state.current

    @property
    def kept(self) -> frozenset[str]:
        """Digests of the encoders whose vectors every write must renew."""
        return self._store.encoders.state.kept

    def count_missing(self, digest: str) -> int:
        """Counts the products that an encoder has not embedded."""
        return self._batches.count_missing(digest)

    def count_vectors(self) -> dict[str, int]:
        """Counts the products that each encoder has embedded, by digest; none without any."""
        counts: dict[str, int] = {}
        for (digest, _), count in self._batches.counts.items():
            counts[digest] = counts.get(digest, 0) + count
        return {digest: count for digest, count in counts.items() if count}

    async def unembedded_after(
        self, number: int, digest: str, count: int
    ) -> list[UnembeddedProduct]:
        """Returns up to `count` products that an encoder has not embedded; see `Encoders`."""
        reader = self._store.reader
        return await self._read(lambda: reader.unembedded_after(number, digest, count))

    async def add(self, vector: NewVector) -> None:
        """Stores what a kept encoder made of a product; see `Encoders`."""
        result = await self._writes.submit(vector)
        assert isinstance(result, Stored)

    async def keep(self, digest: str) -> None:
        """Has every write renew the vectors of an encoder, and of the one that serves.

        Raises:
            EncoderConflictError: Also while its vectors are being removed.
        """
        if digest in self._drops:
            raise EncoderConflictError(f"the vectors of {digest} are being dropped still")

        def write() -> None:
            """Runs in the thread of the writer."""
            self._write(self._store.encoders.state.keeping(digest))
            self._batches.indexes.keep(self.kept)

        await self._in_writer(write)

    async def switch(self, contract: EncoderContract) -> None:
        """Lets another encoder serve, at once; see `Encoders`."""
        self._store.encoders.state.check_switch(contract.digest)
        await self._open_index(contract)

        def write() -> None:
            """Runs between two batches, so that no write can come in between."""
            self._store.encoders.state.check_switch(contract.digest)
            if self.current == contract.digest:
                return
            if missing := self.count_missing(contract.digest):
                raise missing_error(missing, contract.digest)
            self._set_current(contract.digest)

        await self._in_writer(write)

    async def drop(self, digest: str) -> int:
        """Removes all vectors of an encoder that does not serve; see `Encoders`.

        Raises:
            EncoderConflictError: Also if the one that serves has not embedded every product.
        """
        task = self._drops.get(digest)
        if task is None:
            task = self._drops[digest] = asyncio.ensure_future(self._drop(digest))
            task.add_done_callback(lambda _: self._drops.pop(digest))
        # Whoever leaves meanwhile does not stop it: a drop takes longer than many wait.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Waits for the drops, which end when nothing is written any more."""
        if self._drops:
            await asyncio.wait(self._drops.values())

    async def _drop(self, digest: str) -> int:
        def forbid() -> None:
            """Runs in the thread of the writer."""
            current = self.current
            if current is not None and before and (missing := self.count_missing(current)):
                raise only_vectors_error(missing, digest)
            self._write(self._store.encoders.state.dropping(digest))

        before = self.count_vectors().get(digest, 0)
        await self._in_writer(forbid)
        await self._forget_index(digest)
        block = VectorDrop(digest=digest, count=_DROP_BLOCK)
        while True:
            dropped = await self._writes.submit(block)
            assert isinstance(dropped, Dropped)
            if not dropped.row_count:
                break
        await self._forget_index(digest)  # one that was opened meanwhile
        return before

    async def _forget_index(self, digest: str) -> None:
        """Has the vectors of an encoder no longer searched, and removes their snapshot."""
        index = await self._in_writer(lambda: self._batches.indexes.forget(digest))
        if index is not None:
            await asyncio.to_thread(index.folder.remove)
        await asyncio.to_thread(remove_snapshot, self._store.path.parent, digest)

    async def serve(self, contract: EncoderContract, *, instead_of: str | None) -> None:
        """Notes that an encoder serves, whatever it has embedded, unless another one came first.

        Args:
            contract: That of the encoder.
            instead_of: Digest of the one that served when this was decided.
        """

        def write() -> None:
            """Runs in the thread of the writer."""
            if self.current == instead_of:
                self._set_current(contract.digest)

        if instead_of != contract.digest:
            await self._in_writer(write)

    def _set_current(self, digest: str) -> None:
        """Runs in the thread of the writer."""
        self._write(replace(self._store.encoders.state, current=digest))
        self._batches.indexes.keep({digest, *self.kept})

    def _write(self, state: EncoderState) -> None:
        with self._store.transaction():
            self._store.encoders.write(state)
        self._store.encoders.read()

    async def _in_writer(self, function: Callable[[], Result]) -> Result:
        result: Result = await self._writes.submit(Task(function=function))  # type: ignore[assignment]
        return result
