"""A matching service without encoder and index: answers from a dictionary, fails as it is told."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from twinshelf.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    matching_service_pb2,
    matching_service_pb2_grpc,
    product_pb2,
)

ENCODER = product_pb2.EncoderInfo(digest="sha256:" + "a" * 64, version=3)
SCORER = product_pb2.PairScorerInfo(digest="sha256:" + "b" * 64, threshold=0.6)


def make_status(
    code: int,
    message: str,
    *,
    reason: str = "TEST",
    field: str = "",
    retry_after_s: float | None = None,
) -> status_pb2.Status:
    """Makes a status as the real service does."""
    status = status_pb2.Status(code=code, message=message)
    details: list[Any] = [
        error_details_pb2.ErrorInfo(reason=reason, domain="twinshelf.v1", metadata={"limit": "9"}),
        error_details_pb2.RequestInfo(request_id="request-1"),
    ]
    if field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(1000 * retry_after_s))
        details.append(retry)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


# A call that is to end so is cut off without a status, as by a server that stops.
CUT_OFF = status_pb2.Status(code=code_pb2.CANCELLED)
UNAVAILABLE = make_status(code_pb2.UNAVAILABLE, "Triton is away", reason="ENCODER_UNAVAILABLE")
REFUSED = make_status(code_pb2.INVALID_ARGUMENT, "the photo is not an image", field="offer.image")


def busy(retry_after_s: float | None) -> status_pb2.Status:
    """Makes the status of a service that refuses more work, and may say for how long."""
    return make_status(
        code_pb2.RESOURCE_EXHAUSTED, "too busy", reason="SERVER_BUSY", retry_after_s=retry_after_s
    )


class FakeService(
    matching_service_pb2_grpc.MatchingServiceServicer,
    catalog_service_pb2_grpc.CatalogServiceServicer,
):
    """Keeps products in a dictionary.

    Attributes:
        products: What is stored.
        changes: What a watch tells, the first as change 1; after the last it ends.
        calls: How often each method was called, and each product sent.
        failures: Statuses that the next unary calls end with, first in, first out.
        method_failures: Statuses that all unary calls of a method end with.
        row_failures: Statuses that the next answers to a product id are, first in, first out.
        stream_failures: Statuses that the next streams end with before they begin, as `failures`.
        authorizations: The authorization that came with each call; empty where none came.
        break_after: Ends the next streams UNAVAILABLE after so many answers, first in, first out.
        stale_product_count: Products that another encoder embedded.
        damaged_product_count: Products that were set aside.
        history_id: Another one once the catalogue was restored.
        encoder: The one that serves, as the counts name it.
        loses_answers: Whether deletes are made, but end as when the connection breaks then.
        hangs: Whether calls and rows are left without an answer until `released` is set.
    """

    def __init__(self) -> None:
        self.products: dict[str, product_pb2.Product] = {}
        self.changes: list[catalog_service_pb2.ProductChange] = []
        self.calls: Counter[str] = Counter()
        self.failures: list[status_pb2.Status] = []
        self.method_failures: dict[str, status_pb2.Status] = {}
        self.row_failures: dict[str, list[status_pb2.Status]] = {}
        self.stream_failures: list[status_pb2.Status] = []
        self.authorizations: list[str] = []
        self.break_after: list[int] = []
        self.stale_product_count = 1
        self.damaged_product_count = 0
        self.history_id = "first"
        self.encoder = ENCODER
        self.loses_answers = False
        self.hangs = False
        self.released = threading.Event()
        self.last_masks: list[tuple[str, ...]] = []
        self.last_match: matching_service_pb2.MatchProductRequest | None = None
        self.last_pair: matching_service_pb2.ScorePairRequest | None = None
        self.last_category: matching_service_pb2.PredictCategoryRequest | None = None
        self.categorised: list[str] = []
        self.category_failures: dict[str, status_pb2.Status] = {}

    def _enter(self, method: str, context: grpc.ServicerContext) -> None:
        self.calls[method] += 1
        self._note_authorization(context)
        if self.hangs:
            self.released.wait(20)
        if self.failures:
            self._abort(context, self.failures.pop(0))
        if method in self.method_failures:
            self._abort(context, self.method_failures[method])

    def _enter_stream(self, method: str, context: grpc.ServicerContext) -> None:
        self.calls[method] += 1
        self._note_authorization(context)
        if self.stream_failures:
            self._abort(context, self.stream_failures.pop(0))

    def _note_authorization(self, context: grpc.ServicerContext) -> None:
        metadata = dict(context.invocation_metadata())
        self.authorizations.append(str(metadata.get("authorization", "")))

    def _abort(self, context: grpc.ServicerContext, status: status_pb2.Status) -> None:
        if status is CUT_OFF:
            context.cancel()
        details = (("grpc-status-details-bin", status.SerializeToString()),)
        context.set_trailing_metadata(details)
        codes = {code.value[0]: code for code in grpc.StatusCode}
        context.abort(codes[status.code], status.message)

    def MatchProduct(  # noqa: N802 - the name in the proto
        self, request: matching_service_pb2.MatchProductRequest, context: grpc.ServicerContext
    ) -> matching_service_pb2.MatchProductResponse:
        self._enter("MatchProduct", context)
        self.last_match = request
        return self._matches(request)

    def MatchProducts(  # noqa: N802
        self, request_iterator: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[matching_service_pb2.MatchProductsResponse]:
        self._enter_stream("MatchProducts", context)
        answers_left = self.break_after.pop(0) if self.break_after else -1
        for request in request_iterator:
            self.last_match = request.request
            if answers_left == 0:
                self._abort(context, UNAVAILABLE)
            answers_left -= 1
            self.calls[request.request.offer.title] += 1
            response = matching_service_pb2.MatchProductsResponse(request_id=request.request_id)
            failures = self.row_failures.get(request.request.offer.title)
            if failures:
                response.error.CopyFrom(failures.pop(0))
            else:
                response.response.CopyFrom(self._matches(request.request))
            yield response

    def ScorePair(  # noqa: N802
        self, request: matching_service_pb2.ScorePairRequest, context: grpc.ServicerContext
    ) -> matching_service_pb2.ScorePairResponse:
        self._enter("ScorePair", context)
        self.last_pair = request
        response = matching_service_pb2.ScorePairResponse(
            probability=0.93, is_match=True, text_cosine=0.8, fused_cosine=0.8, pair_scorer=SCORER
        )
        response.reasons.add(feature="title_word_jaccard", value=0.5, log_odds=1.25)
        response.reasons.add(feature="price_log_ratio", log_odds=-0.5)
        del response.reasons[request.reason_count :]
        return response

    def PredictCategory(  # noqa: N802
        self, request: matching_service_pb2.PredictCategoryRequest, context: grpc.ServicerContext
    ) -> matching_service_pb2.PredictCategoryResponse:
        self._enter("PredictCategory", context)
        self.last_category = request
        self.categorised.append(request.product_id)
        if request.product_id in self.category_failures:
            self._abort(context, self.category_failures[request.product_id])
        response = matching_service_pb2.PredictCategoryResponse(
            category="Grocery/Tea" if request.min_margin < 0.5 else "",
            margin=0.5,
            probability=None if request.level_count else 0.875,
            pattern=product_pb2.MODALITY_PATTERN_TEXT,
            encoder=ENCODER,
        )
        response.categories.add(category="Grocery/Tea", share=0.75)
        response.categories.add(category="Mugs", share=0.25)
        response.votes.add(
            product_id="tea", title="Tea [b]", category="Grocery/Tea", score=0.875, share=0.75
        )
        return response

    def UpsertProducts(  # noqa: N802
        self, request_iterator: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        self._enter_stream("UpsertProducts", context)
        answers_left = self.break_after.pop(0) if self.break_after else -1
        for index, request in enumerate(request_iterator):
            if self.hangs:
                self.released.wait(20)
            if answers_left == 0:
                self._abort(context, UNAVAILABLE)
            answers_left -= 1
            self.last_masks.append(tuple(request.update_mask.paths))
            yield self._upsert(index, request.product)

    def _upsert(self, index: int, product: product_pb2.Product) -> Any:
        self.calls[product.product_id] += 1
        response = catalog_service_pb2.UpsertProductsResponse(
            product_id=product.product_id, request_index=index
        )
        if failures := self.row_failures.get(product.product_id):
            response.error.CopyFrom(failures.pop(0))
            return response
        response.upserted.replaced = product.product_id in self.products
        response.upserted.pattern = product_pb2.MODALITY_PATTERN_BOTH
        response.upserted.encoder.CopyFrom(ENCODER)
        self.products[product.product_id] = product
        return response

    def GetProduct(  # noqa: N802
        self, request: catalog_service_pb2.GetProductRequest, context: grpc.ServicerContext
    ) -> catalog_service_pb2.GetProductResponse:
        self._enter("GetProduct", context)
        if request.product_id not in self.products:
            text = f"the catalogue holds no product {request.product_id!r}"
            self._abort(context, make_status(code_pb2.NOT_FOUND, text, reason="PRODUCT_NOT_FOUND"))
        return catalog_service_pb2.GetProductResponse(
            product=self._shown(request.product_id), encoder_digest=ENCODER.digest
        )

    def GetThumbnail(  # noqa: N802
        self, request: catalog_service_pb2.GetThumbnailRequest, context: grpc.ServicerContext
    ) -> catalog_service_pb2.GetThumbnailResponse:
        self._enter("GetThumbnail", context)
        product = self.products.get(request.product_id)
        if product is None or not product.image:
            text = f"the catalogue keeps no thumbnail of a product {request.product_id!r}"
            status = make_status(code_pb2.NOT_FOUND, text, reason="THUMBNAIL_NOT_FOUND")
            self._abort(context, status)
            raise AssertionError
        return catalog_service_pb2.GetThumbnailResponse(jpeg=b"small " + product.image)

    def GetEmbeddings(  # noqa: N802
        self, request: catalog_service_pb2.GetEmbeddingsRequest, context: grpc.ServicerContext
    ) -> catalog_service_pb2.GetEmbeddingsResponse:
        self._enter("GetEmbeddings", context)
        return catalog_service_pb2.GetEmbeddingsResponse(
            embeddings=[
                catalog_service_pb2.ProductEmbedding(product_id=each, text=(0.6, 0.8))
                for each in request.product_ids
                if each in self.products
            ],
            encoder=ENCODER,
        )

    def ListProducts(  # noqa: N802
        self, request: catalog_service_pb2.ListProductsRequest, context: grpc.ServicerContext
    ) -> catalog_service_pb2.ListProductsResponse:
        self._enter("ListProducts", context)
        ids = sorted(each for each in self.products if each > request.page_token)
        page = ids[: request.page_size or 100]
        return catalog_service_pb2.ListProductsResponse(
            products=[self._shown(each) for each in page],
            next_page_token=page[-1] if len(page) < len(ids) else "",
        )

    def DeleteProducts(  # noqa: N802
        self, request: catalog_service_pb2.DeleteProductsRequest, context: grpc.ServicerContext
    ) -> catalog_service_pb2.DeleteProductsResponse:
        self._enter("DeleteProducts", context)
        missing = [each for each in request.product_ids if not self.products.pop(each, None)]
        if self.loses_answers:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        return catalog_service_pb2.DeleteProductsResponse(
            deleted_count=len(request.product_ids) - len(missing), missing_product_ids=missing
        )

    def WatchChanges(  # noqa: N802
        self, request: catalog_service_pb2.WatchChangesRequest, context: grpc.ServicerContext
    ) -> Iterator[catalog_service_pb2.WatchChangesResponse]:
        self._enter_stream("WatchChanges", context)
        changes_left = self.break_after.pop(0) if self.break_after else -1
        for number, change in enumerate(self.changes, start=1):
            if number > request.from_sequence:
                if changes_left == 0:
                    self._abort(context, UNAVAILABLE)
                changes_left -= 1
                shown = catalog_service_pb2.ProductChange(change_sequence=number)
                shown.MergeFrom(change)
                if not request.includes_products:
                    shown.ClearField("product")
                yield catalog_service_pb2.WatchChangesResponse(changes=[shown])
        self._abort(context, REFUSED)  # where the real one would wait

    def Snapshot(  # noqa: N802
        self, request: catalog_service_pb2.SnapshotRequest, context: grpc.ServicerContext
    ) -> catalog_service_pb2.SnapshotResponse:
        self._enter("Snapshot", context)
        return catalog_service_pb2.SnapshotResponse(
            vector_count=len(self.products), change_sequence=7
        )

    def GetCatalogStats(  # noqa: N802
        self, request: catalog_service_pb2.GetCatalogStatsRequest, context: grpc.ServicerContext
    ) -> catalog_service_pb2.GetCatalogStatsResponse:
        self._enter("GetCatalogStats", context)
        return catalog_service_pb2.GetCatalogStatsResponse(
            product_count=len(self.products),
            image_count=1,
            text_count=2,
            stale_product_count=self.stale_product_count,
            damaged_product_count=self.damaged_product_count,
            indexed_vector_count=4,
            encoder=self.encoder,
            embedding_dimension=512,
            change_sequence=7,
            history_id=self.history_id,
        )

    def _shown(self, product_id: str) -> product_pb2.Product:
        shown = product_pb2.Product()
        shown.CopyFrom(self.products[product_id])
        shown.ClearField("image")
        shown.pattern = product_pb2.MODALITY_PATTERN_BOTH
        shown.update_time.FromSeconds(1_700_000_000)
        return shown

    def _matches(self, request: Any) -> matching_service_pb2.MatchProductResponse:
        wanted = request.match_count if request.HasField("match_count") else 10
        response = matching_service_pb2.MatchProductResponse(
            pattern=product_pb2.MODALITY_PATTERN_TEXT, encoder=ENCODER, no_match_probability=0.03
        )
        if request.HasField("filter"):
            response.filter_plan.search = matching_service_pb2.FilterPlan.SEARCH_EXACT
            response.filter_plan.allowed_count = len(self.products)
        found = [each for each in sorted(self.products) if each not in request.excluded_product_ids]
        for rank, product_id in enumerate(found[:wanted]):
            response.matches.add(
                product=self._shown(product_id),
                score=0.9 - rank / 10,
                probability=0.95 - rank / 4,
                is_match=rank == 0,
                pattern=product_pb2.MODALITY_PATTERN_TEXT,
                text_score=0.9 - rank / 10,
                pair_probability=0.7 if rank < request.pair_count else None,
            )
        if request.pair_count:
            response.pair_scorer.CopyFrom(SCORER)
        return response


def start_server(
    service: FakeService, address: str = "127.0.0.1:0", *, call_count: int | None = None
) -> tuple[grpc.Server, str]:
    """Serves a fake on a free port; returns the server and its address."""
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=8),
        options=[("grpc.so_reuseport", 0)],
        maximum_concurrent_rpcs=call_count,
    )
    matching_service_pb2_grpc.add_MatchingServiceServicer_to_server(service, server)
    catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(service, server)
    port = server.add_insecure_port(address)
    server.start()
    return server, f"127.0.0.1:{port}"


def wait_until(condition: Any, timeout_s: float = 10.0) -> None:
    """Waits until something is so; fails when it does not come about."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.005)
