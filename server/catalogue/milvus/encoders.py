"""The encoders of a catalogue on Milvus: one row names the one that serves, for all servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from twinshelf.server.catalogue.encoder_state import missing_error, only_vectors_error
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.counts import Counts
from twinshelf.server.catalogue.milvus.state import CatalogueState
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.catalogue.milvus.writer import MilvusWriter
from twinshelf.server.catalogue.product_record import NewVector, Stored, UnembeddedProduct
from twinshelf.server.catalogue.write_item import Task, WriteItem
from twinshelf.server.catalogue.write_queue import WriteQueue
from twinshelf.server.encoders.contract import EncoderContract

Result = TypeVar("Result")


class MilvusEncoders:
    """The encoders of a catalogue on Milvus; see `Encoders`.

    A server learns of an encoder that is kept when it reads the row again, within seconds, and with
    each of its writes; of a switch, once it has counted what the encoder has embedded.
    """

    def __init__(
        self,
        *,
        collections: Collections,
        stored: StoredRows,
        counts: Counts,
        writer: MilvusWriter,
        writes: WriteQueue[WriteItem, object],
        open_index: Callable[[EncoderContract], Awaitable[None]],
    ) -> None:
        """Takes the parts that it works with."""
        self._collections = collections
        self._stored = stored
        self._counts = counts
        self._writer = writer
        self._writes = writes
        self._open_index = open_index

    @property
    def current(self) -> str | None:
        """Digest of the encoder that serves; None before the first.

        One that another server has switched to serves here once all is counted anew: by the counts
        of before it would lack products, and whoever matches would be refused.
        """
        counted, encoders = self._counts.encoders.current, self._stored.state.encoders
        return counted if counted in encoders.kept else encoders.current

    @property
    def kept(self) -> frozenset[str]:
        """Digests of the encoders whose vectors every write must renew."""
        return self._stored.state.encoders.kept

    def count_missing(self, digest: str) -> int:
        """Counts the products that an encoder has not embedded."""
        return self._counts.missing_count(digest)

    def count_vectors(self) -> dict[str, int]:
        """Counts the products that each encoder has embedded, by digest; none without any."""
        digests = {digest for digest, _ in self._counts.embedded}
        counts = {digest: self._counts.embedded_count(digest) for digest in digests}
        return {digest: count for digest, count in counts.items() if count}

    async def unembedded_after(
        self, number: int, digest: str, count: int
    ) -> list[UnembeddedProduct]:
        """Returns up to `count` products that an encoder has not embedded; see `Encoders`."""
        found = await asyncio.to_thread(self._stored.unembedded_after, number, digest, count)
        if not found and not number and self._counts.missing_count(digest):
            # Other servers have embedded them meanwhile.
            await self._writes.submit(Task(function=self._count))
        return found

    async def add(self, vector: NewVector) -> None:
        """Stores what a kept encoder made of a product; see `Encoders`."""
        result = await self._writes.submit(vector)
        assert isinstance(result, Stored)

    async def keep(self, digest: str) -> None:
        """Has every write renew the vectors of an encoder, and of the one that serves."""

        def keeping(state: CatalogueState) -> CatalogueState:
            """Runs in the thread of the writer."""
            return replace(state.knowing(digest), encoders=state.encoders.keeping(digest))

        await self._change(keeping)

    async def switch(self, contract: EncoderContract) -> None:
        """Lets another encoder serve, once it has embedded every product; see `Encoders`."""
        self._stored.state.encoders.check_switch(contract.digest)
        await self._open_index(contract)

        def switching(state: CatalogueState) -> CatalogueState:
            """Runs in the thread of the writer."""
            state.encoders.check_switch(contract.digest)
            if state.encoders.current == contract.digest:
                return state
            self._counts.refresh(state, level="Strong")  # what others have just written counts
            if missing := self.count_missing(contract.digest):
                raise missing_error(missing, contract.digest)
            return replace(state, encoders=replace(state.encoders, current=contract.digest))

        await self._change(switching)

    async def drop(self, digest: str) -> int:
        """Removes all vectors of an encoder that does not serve; see `Encoders`.

        Raises:
            EncoderConflictError: Also if the one that serves has not embedded every product.
        """
        counted: list[int] = []
        made_numbers: list[int] = []

        def dropping(state: CatalogueState) -> CatalogueState:
            """Runs in the thread of the writer."""
            dropped = state.dropping(digest)
            self._counts.refresh(state, level="Strong")
            counted.append(self._counts.embedded_count(digest))
            current = state.encoders.current
            if current is not None and counted[0] and (missing := self.count_missing(current)):
                raise only_vectors_error(missing, digest)
            made_numbers.append(state.made_number(digest))
            return dropped

        await self._change(dropping)
        # Last: a state that names vectors which are gone could not be counted.
        forget = partial(self._collections.forget, made_numbers[0])
        await self._writes.submit(Task(function=forget))
        return counted[0]

    async def serve(self, contract: EncoderContract, *, instead_of: str | None) -> None:
        """Notes that an encoder serves, whatever it has embedded, unless another one came first.

        Args:
            contract: That of the encoder.
            instead_of: Digest of the one that served when this was decided.
        """

        def serving(state: CatalogueState) -> CatalogueState:
            """Runs in the thread of the writer."""
            if state.encoders.current != instead_of:
                return state
            encoders = replace(state.encoders, current=contract.digest)
            return replace(state.knowing(contract.digest), encoders=encoders)

        if instead_of != contract.digest:
            await self._change(serving)

    def _count(self) -> None:
        self._counts.refresh(self._stored.state)

    async def _change(self, change: Callable[[CatalogueState], CatalogueState]) -> None:
        def write() -> None:
            """Runs in the thread of the writer."""
            self._counts.refresh(self._writer.change_state(change))

        await self._writes.submit(Task(function=write))
