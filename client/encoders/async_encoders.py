"""The encoders of a service for asyncio: `AsyncClient.encoders`."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from twinshelf.client.async_stream import AsyncStream
from twinshelf.client.call_terms import CallTerms
from twinshelf.client.conversions import encoder_request
from twinshelf.client.encoders import conversions
from twinshelf.client.encoders.records import (
    EncoderComparison,
    EncoderState,
    EncoderSwitch,
    ReindexAnswer,
)
from twinshelf.client.records import Product
from twinshelf.v1 import encoder_service_pb2 as pb
from twinshelf.v1 import encoder_service_pb2_grpc


class AsyncEncoders:
    """Tells of encoders and changes them.

    Its methods, their arguments and their errors are those of `Encoders`, where they are told.
    """

    def __init__(
        self,
        stub: encoder_service_pb2_grpc.EncoderServiceStub,
        call: Callable[..., Awaitable[Any]],
        terms: CallTerms,
        metadata: Any,
    ) -> None:
        """Takes the service, and how `AsyncClient` calls a method of it, and opens a stream."""
        self._stub = stub
        self._call = call
        self._change = partial(call, is_safe_to_repeat=False)
        self._terms = terms
        self._metadata = metadata

    async def list(self, *, timeout_s: float | None = None) -> tuple[EncoderState, ...]:
        """Does what `Encoders.list` does, awaited."""
        answer = await self._call(self._stub.ListEncoders, pb.ListEncodersRequest(), timeout_s)
        return conversions.encoder_states(answer)

    async def reindex(self, encoder: int | str, *, timeout_s: float | None = None) -> EncoderState:
        """Does what `Encoders.reindex` does, awaited."""
        request = encoder_request(pb.ReindexRequest, encoder)
        answer = await self._call(self._stub.Reindex, request, timeout_s)
        return conversions.encoder_state(answer.encoder)

    def reindex_products(
        self,
        products: Iterable[Product] | AsyncIterable[Product],
        *,
        timeout_s: float | None = None,
    ) -> AsyncIterator[ReindexAnswer]:
        """Does what `Encoders.reindex_products` does, iterated with `async for`."""
        return AsyncStream(
            lambda: self._stub.ReindexProducts(metadata=self._metadata),
            self._terms.listening(conversions.reindex_method(), timeout_s),
            products,
        ).answers()

    async def switch(self, encoder: int | str, *, timeout_s: float | None = None) -> EncoderSwitch:
        """Does what `Encoders.switch` does, awaited."""
        request = encoder_request(pb.SwitchEncoderRequest, encoder)
        answer = await self._change(self._stub.SwitchEncoder, request, timeout_s)
        return conversions.encoder_switch(answer)

    async def drop(self, encoder: int | str, *, timeout_s: float | None = None) -> int:
        """Does what `Encoders.drop` does, awaited."""
        request = encoder_request(pb.DropEncoderRequest, encoder)
        answer = await self._change(self._stub.DropEncoder, request, timeout_s)
        return int(answer.dropped_product_count)

    async def compare(self, *, timeout_s: float | None = None) -> EncoderComparison:
        """Does what `Encoders.compare` does, awaited."""
        request = pb.CompareEncodersRequest()
        answer = await self._call(self._stub.CompareEncoders, request, timeout_s)
        return conversions.encoder_comparison(answer)
