"""The client for asyncio: one object, one channel, made inside the running loop.

async with AsyncClient("127.0.0.1:50051") as client:
    result = await client.match(Offer(title="Arabica coffee beans 1 kg"))
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

import grpc

from twinshelf.client import category_conversions, conversions, pair_conversions
from twinshelf.client.async_stream import AsyncStream
from twinshelf.client.call_terms import CallTerms
from twinshelf.client.category_records import (
    DEFAULT_CATEGORY_OPTIONS,
    CategoryOptions,
    CategoryPrediction,
)
from twinshelf.client.changes import ProductChange
from twinshelf.client.channel import CHANNEL_OPTIONS, DEFAULT_ADDRESS, DEFAULT_TIMEOUT_S
from twinshelf.client.conversions import identifiers
from twinshelf.client.credentials import ClientTls, call_metadata, channel_credentials
from twinshelf.client.encoders.async_encoders import AsyncEncoders
from twinshelf.client.errors import ProductNotFoundError, ServiceBusyError
from twinshelf.client.groups.async_groups import AsyncGroups
from twinshelf.client.pair_records import PairScore
from twinshelf.client.records import (
    DEFAULT_MATCH_OPTIONS,
    CatalogStats,
    DeleteResult,
    MatchAnswer,
    MatchOptions,
    MatchResult,
    Offer,
    Product,
    ProductEmbedding,
    ProductPage,
    ProductUpdate,
    SnapshotReport,
    StoredProduct,
    UpsertAnswer,
)
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.streams import match_method, upsert_method
from twinshelf.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    encoder_service_pb2_grpc,
    group_service_pb2_grpc,
    matching_service_pb2_grpc,
)

Response = TypeVar("Response")


class AsyncClient:
    """Speaks to one matching service.

    Its methods, their arguments and their errors are those of `Client`, where they are told.
    Sources of rows may be asynchronous, too.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retry_policy: RetryPolicy | None = None,
        api_key: str | None = None,
        tls: ClientTls | None = None,
        seed: int | None = None,
    ) -> None:
        """Makes the channel, of the terms of `Client`; the service is reached at the first call."""
        self.address = address
        self._terms = CallTerms(address, timeout_s=timeout_s, policy=retry_policy, seed=seed)
        self._metadata = call_metadata(api_key, address=address, tls=tls)
        self._channel = (
            grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
            if tls is None
            else grpc.aio.secure_channel(
                address, channel_credentials(tls), options=CHANNEL_OPTIONS + tls.channel_options
            )
        )
        self._matching = matching_service_pb2_grpc.MatchingServiceStub(self._channel)
        self._catalog = catalog_service_pb2_grpc.CatalogServiceStub(self._channel)
        self.groups = AsyncGroups(
            group_service_pb2_grpc.GroupServiceStub(self._channel), self._call
        )
        self.encoders = AsyncEncoders(
            encoder_service_pb2_grpc.EncoderServiceStub(self._channel),
            self._call,
            self._terms,
            self._metadata,
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the channel; running calls are cancelled."""
        await self._channel.close()

    async def match(
        self,
        offer: Offer,
        options: MatchOptions = DEFAULT_MATCH_OPTIONS,
        *,
        timeout_s: float | None = None,
    ) -> MatchResult:
        """Does what `Client.match` does, awaited."""
        request = conversions.match_request(offer, options)
        pages = [await self._call(self._matching.MatchProduct, request, timeout_s)]
        while pages[-1].next_page_token:
            request.page_token = pages[-1].next_page_token
            pages.append(await self._call(self._matching.MatchProduct, request, timeout_s))
        return conversions.match_result(*pages)

    def match_many(
        self,
        offers: Iterable[Offer] | AsyncIterable[Offer],
        options: MatchOptions = DEFAULT_MATCH_OPTIONS,
        *,
        timeout_s: float | None = None,
    ) -> AsyncIterator[MatchAnswer]:
        """Does what `Client.match_many` does, iterated with `async for`.

        Answers come while an asynchronous source is waited for.
        """
        return AsyncStream(
            lambda: self._matching.MatchProducts(metadata=self._metadata),
            self._terms.listening(match_method(options), timeout_s),
            offers,
        ).answers()

    async def score_pair(
        self,
        left: Offer | str,
        right: Offer | str,
        *,
        reason_count: int = 0,
        encoder: int | str = "",
        timeout_s: float | None = None,
    ) -> PairScore:
        """Does what `Client.score_pair` does, awaited."""
        request = pair_conversions.pair_request(left, right, reason_count, encoder)
        return pair_conversions.pair_score(
            await self._call(self._matching.ScorePair, request, timeout_s)
        )

    async def predict_category(
        self,
        asked: Offer | str,
        options: CategoryOptions = DEFAULT_CATEGORY_OPTIONS,
        *,
        timeout_s: float | None = None,
    ) -> CategoryPrediction:
        """Does what `Client.predict_category` does, awaited."""
        request = category_conversions.category_request(asked, options)
        return category_conversions.category_prediction(
            await self._call(self._matching.PredictCategory, request, timeout_s)
        )

    def upsert(
        self,
        products: Iterable[Product | ProductUpdate] | AsyncIterable[Product | ProductUpdate],
        *,
        timeout_s: float | None = None,
    ) -> AsyncIterator[UpsertAnswer]:
        """Does what `Client.upsert` does, iterated with `async for`."""
        return AsyncStream(
            lambda: self._catalog.UpsertProducts(metadata=self._metadata),
            self._terms.listening(upsert_method(), timeout_s),
            products,
        ).answers()

    async def get(self, product_id: str, *, timeout_s: float | None = None) -> StoredProduct:
        """Does what `Client.get` does, awaited."""
        request = catalog_service_pb2.GetProductRequest(product_id=product_id)
        return conversions.stored_product(
            await self._call(self._catalog.GetProduct, request, timeout_s)
        )

    async def thumbnail(self, product_id: str, *, timeout_s: float | None = None) -> bytes:
        """Does what `Client.thumbnail` does, awaited."""
        request = catalog_service_pb2.GetThumbnailRequest(product_id=product_id)
        return bytes((await self._call(self._catalog.GetThumbnail, request, timeout_s)).jpeg)

    async def embeddings(
        self, product_ids: Sequence[str], *, timeout_s: float | None = None
    ) -> list[ProductEmbedding]:
        """Does what `Client.embeddings` does, awaited."""
        request = catalog_service_pb2.GetEmbeddingsRequest(product_ids=identifiers(product_ids))
        return conversions.product_embeddings(
            await self._call(self._catalog.GetEmbeddings, request, timeout_s)
        )

    async def illustrate(
        self, result: MatchResult, *, timeout_s: float | None = None
    ) -> MatchResult:
        """Does what `Client.illustrate` does, awaited."""
        pictures = {}
        for match in result.matches:
            product_id = match.product.product_id
            with contextlib.suppress(ProductNotFoundError):
                pictures[product_id] = await self.thumbnail(product_id, timeout_s=timeout_s)
        return replace(result, pictures=pictures)

    async def list_page(
        self, *, page_size: int = 0, page_token: str = "", timeout_s: float | None = None
    ) -> ProductPage:
        """Does what `Client.list_page` does, awaited."""
        request = catalog_service_pb2.ListProductsRequest(
            page_size=page_size, page_token=page_token
        )
        return conversions.product_page(
            await self._call(self._catalog.ListProducts, request, timeout_s)
        )

    async def list_all(
        self, *, page_size: int = 1000, timeout_s: float | None = None
    ) -> AsyncIterator[Product]:
        """Does what `Client.list_all` does, iterated with `async for`."""
        page_token = ""
        while True:
            page = await self.list_page(
                page_size=page_size, page_token=page_token, timeout_s=timeout_s
            )
            for product in page.products:
                yield product
            if not (page_token := page.next_page_token):
                return

    async def delete(
        self, product_ids: Sequence[str], *, timeout_s: float | None = None
    ) -> DeleteResult:
        """Does what `Client.delete` does, awaited."""
        request = catalog_service_pb2.DeleteProductsRequest(product_ids=identifiers(product_ids))
        method = self._catalog.DeleteProducts
        return conversions.delete_result(
            await self._call(method, request, timeout_s, is_safe_to_repeat=False)
        )

    async def stats(self, *, timeout_s: float | None = None) -> CatalogStats:
        """Does what `Client.stats` does, awaited."""
        request = catalog_service_pb2.GetCatalogStatsRequest()
        return conversions.catalog_stats(
            await self._call(self._catalog.GetCatalogStats, request, timeout_s)
        )

    async def watch(
        self, from_sequence: int | None = None, *, includes_products: bool = False
    ) -> AsyncIterator[ProductChange]:
        """Does what `Client.watch` does, iterated with `async for`."""
        if from_sequence is None:
            from_sequence = (await self.stats()).change_sequence
        point = self._terms.watching(from_sequence, includes_products=includes_products)
        while True:
            call = self._catalog.WatchChanges(point.begin(), metadata=self._metadata)
            try:
                async for response in call:
                    for change in point.take(response):
                        yield change
            except grpc.RpcError as error:
                await asyncio.sleep(point.wait_after_break_s(error))
            finally:
                call.cancel()

    async def snapshot(self, *, timeout_s: float | None = None) -> SnapshotReport:
        """Does what `Client.snapshot` does, awaited."""
        request = catalog_service_pb2.SnapshotRequest()
        return conversions.snapshot_report(
            await self._call(self._catalog.Snapshot, request, timeout_s)
        )

    async def _call(
        self,
        method: Callable[..., Awaitable[Response]],
        request: Any,
        timeout_s: float | None,
        *,
        is_safe_to_repeat: bool = True,
    ) -> Response:
        attempts = self._terms.attempts(request, timeout_s, is_safe_to_repeat=is_safe_to_repeat)
        while True:
            try:
                response = await method(
                    request, timeout=attempts.start_s(), metadata=self._metadata
                )
                attempts.succeeded()
                return response
            except (grpc.RpcError, ServiceBusyError) as error:
                await asyncio.sleep(attempts.wait_after_failure_s(error))
