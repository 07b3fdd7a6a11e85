"""CatalogService: writing, reading and counting the products of the catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from weakref import WeakValueDictionary

import grpc

from twinshelf.server.access.audit import AuditEntry, AuditLog
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_record import (
    NewProduct,
    ProductChange,
    Stored,
    StoredProduct,
)
from twinshelf.server.catalogue.ranking import PAGE_LIMIT_BYTES
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import (
    EncoderChangedError,
    InvalidRequestError,
    ProductNotFoundError,
    ThumbnailNotFoundError,
    TwinshelfError,
    reason_of,
)
from twinshelf.server.services.calls.call_observer import CallObserver
from twinshelf.server.services.calls.streams import StreamBounds, answers_as_done
from twinshelf.server.services.conversions import (
    encoder_info,
    modality_pattern,
    product_from_stored,
    record_from_product,
    write_product,
)
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.products.product_embedder import ProductEmbedder
from twinshelf.server.services.products.product_photos import (
    check_first_image,
    check_further_images,
    photos_of,
)
from twinshelf.server.services.products.product_updates import ProductUpdater
from twinshelf.server.services.products.thumbnails import Thumbnails
from twinshelf.server.services.requests import (
    EMBEDDINGS_LIMIT,
    Limits,
    check_product,
    check_product_id,
    check_product_ids,
    echoed_id,
    page_token,
    read_page,
)
from twinshelf.v1 import catalog_service_pb2 as pb
from twinshelf.v1 import catalog_service_pb2_grpc, product_pb2

_SERVICE = pb.DESCRIPTOR.services_by_name["CatalogService"].full_name
UPSERT_METHOD, DELETE_METHOD = f"/{_SERVICE}/UpsertProducts", f"/{_SERVICE}/DeleteProducts"
SNAPSHOT_METHOD = f"/{_SERVICE}/Snapshot"
# Long products are 64 KiB: 8 MiB for a page of them, of which 2 are answered.
_LISTED_AT_ONCE = 128
# Long products are 64 KiB: 2 MiB for a caller that reads slowly.
_CHANGES_AT_ONCE = 32
# Clients of others take messages of 4 MiB.
_CHANGES_LIMIT_BYTES = 1024 * 1024
Turns = WeakValueDictionary[str, asyncio.Lock]


class CatalogServicer(catalog_service_pb2_grpc.CatalogServiceServicer):
    """Answers `twinshelf.v1.CatalogService`."""

    def __init__(
        self,
        *,
        embedder: ProductEmbedder,
        updater: ProductUpdater,
        catalogue: Catalogue,
        encoders: ServingEncoders,
        limits: Limits,
        thumbnails: Thumbnails,
        bounds: StreamBounds,
        observer: CallObserver,
        audit_log: AuditLog,
    ) -> None:
        """Takes the parts that it works with."""
        self._embedder = embedder
        self._updater = updater
        self._catalogue = catalogue
        self._encoders = encoders
        self._limits = limits
        self._thumbnails = thumbnails
        self._bounds = bounds
        self._observer = observer
        self._audit_log = audit_log

    async def UpsertProducts(  # noqa: N802 - the name is the proto's
        self, requests: AsyncIterator[pb.UpsertProductsRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.UpsertProductsResponse]:
        """Stores a stream of products; each is answered when it is stored, an error included."""
        turns: Turns = WeakValueDictionary()

        def size_bytes(request: pb.UpsertProductsRequest) -> int:
            """Returns what a request takes."""
            return self._bounds.message_bytes(request, lambda: photos_of(request.product))

        def refuse(
            position: int, request: pb.UpsertProductsRequest, error: Exception
        ) -> pb.UpsertProductsResponse:
            """Answers one product with its failure."""
            self._note_row(reason_of(error), request)
            return pb.UpsertProductsResponse(
                product_id=echoed_id(request.product.product_id),
                request_index=position,
                error=self._observer.row_status_of(error, position),
            )

        async def answer(
            position: int, request: pb.UpsertProductsRequest
        ) -> pb.UpsertProductsResponse:
            """Stores one product; a failure ends as its answer, so that the stream goes on."""
            try:
                upserted = await self._upsert(request, turns)
            except Exception as error:  # the boundary: one product's failure is its own answer
                return refuse(position, request, error)
            except asyncio.CancelledError:  # the caller has gone; the product may be written
                self._note_row("CANCELLED", request)
                raise
            outcome = "REPLACED" if upserted.replaced else "STORED"
            self._note_row("UPDATED" if request.HasField("update_mask") else outcome, request)
            return pb.UpsertProductsResponse(
                product_id=request.product.product_id, request_index=position, upserted=upserted
            )

        async for response in answers_as_done(requests, answer, size_bytes, refuse, self._bounds):
            yield response

    async def GetProduct(  # noqa: N802 - the name is the proto's
        self, request: pb.GetProductRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetProductResponse:
        """Returns one product."""
        check_product_id(request.product_id, "product_id")
        stored = await self._catalogue.product(request.product_id)
        if stored is None:
            raise ProductNotFoundError(
                f"the catalogue has no product {request.product_id!r}",
                facts={"product_id": request.product_id},
            )
        return pb.GetProductResponse(
            product=product_from_stored(stored), encoder_digest=stored.digest
        )

    async def GetThumbnail(  # noqa: N802 - the name is the proto's
        self, request: pb.GetThumbnailRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetThumbnailResponse:
        """Returns the thumbnail of a product."""
        check_product_id(request.product_id, "product_id")
        jpeg = await self._catalogue.thumbnail(request.product_id)
        if jpeg is None:
            raise ThumbnailNotFoundError(
                f"the catalogue keeps no thumbnail of a product {request.product_id!r}",
                facts={"product_id": request.product_id},
            )
        return pb.GetThumbnailResponse(jpeg=jpeg)

    async def GetEmbeddings(  # noqa: N802 - the name is the proto's
        self, request: pb.GetEmbeddingsRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetEmbeddingsResponse:
        """Returns the embeddings of some products."""
        check_product_ids(request.product_ids, EMBEDDINGS_LIMIT)
        contract = self._encoders.contract
        found = await self._catalogue.embedded_products(request.product_ids, contract)
        return pb.GetEmbeddingsResponse(
            encoder=encoder_info(contract),
            embeddings=[
                pb.ProductEmbedding(
                    product_id=product_id,
                    image=() if embedding.image is None else embedding.image,
                    text=() if embedding.text is None else embedding.text,
                )
                for product_id, each in found.items()
                if (embedding := each.embedding) is not None
            ],
        )

    async def ListProducts(  # noqa: N802 - the name is the proto's
        self, request: pb.ListProductsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListProductsResponse:
        """Returns a page of products."""
        size, after = read_page(request)
        products: list[product_pb2.Product] = []
        size_bytes, has_more = 0, False
        # One more than the page holds tells whether another page follows.
        async for stored in self._products_after(after, size + 1):
            product = product_from_stored(stored)
            size_bytes += product.ByteSize()
            is_full = len(products) == size or size_bytes > PAGE_LIMIT_BYTES
            if has_more := is_full and bool(products):
                break
            products.append(product)
        return pb.ListProductsResponse(
            products=products,
            next_page_token=page_token(products[-1].product_id) if has_more else "",
        )

    async def DeleteProducts(  # noqa: N802 - the name is the proto's
        self, request: pb.DeleteProductsRequest, context: grpc.aio.ServicerContext
    ) -> pb.DeleteProductsResponse:
        """Removes products."""
        entry = AuditEntry(method=DELETE_METHOD, product_ids=request.product_ids)
        with self._audit_log.noting_failure(entry):
            check_product_ids(request.product_ids)
            deleted = await self._catalogue.delete(request.product_ids)
        missing_count = len(deleted.missing)
        self._audit_log.record(replace(entry, outcome="DELETED", missing_count=missing_count))
        return pb.DeleteProductsResponse(
            deleted_count=len(deleted.removed), missing_product_ids=deleted.missing
        )

    async def GetCatalogStats(  # noqa: N802 - the name is the proto's
        self, request: pb.GetCatalogStatsRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetCatalogStatsResponse:
        """Counts what is stored; answers without an encoder while that is away."""
        try:
            contract = self._encoders.contract
        except TwinshelfError:
            contract = None
        stats = await self._catalogue.stats(contract.digest if contract else None)
        return pb.GetCatalogStatsResponse(
            product_count=stats.product_count,
            image_count=stats.image_count,
            photo_count=stats.photo_count,
            text_count=stats.text_count,
            stale_product_count=stats.stale_product_count,
            indexed_vector_count=stats.indexed_vector_count,
            encoder=encoder_info(contract) if contract else None,
            embedding_dimension=contract.dimension if contract else 0,
            change_sequence=stats.change_sequence,
            damaged_product_count=stats.damaged_product_count,
            history_id=stats.history_id,
        )

    async def Snapshot(  # noqa: N802 - the name is the proto's
        self, request: pb.SnapshotRequest, context: grpc.aio.ServicerContext
    ) -> pb.SnapshotResponse:
        """Writes a snapshot of the search index."""
        self._audit_log.record(AuditEntry(method=SNAPSHOT_METHOD, outcome="STARTED"))
        report = await self._catalogue.snapshot()
        return pb.SnapshotResponse(
            vector_count=report.vector_count, change_sequence=report.change_sequence
        )

    async def WatchChanges(  # noqa: N802 - the name is the proto's
        self, request: pb.WatchChangesRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchChangesResponse]:
        """Tells what changes; holds one page of it at a time."""
        sequence = request.from_sequence
        if sequence < 0:
            raise InvalidRequestError(
                f"from_sequence must be zero or more, got {sequence}", field="from_sequence"
            )
        whole_until = 0 if sequence else (await self._catalogue.stats(None)).change_sequence
        while True:
            changes = await self._catalogue.changes_after(
                sequence, _CHANGES_AT_ONCE, whole_until=whole_until
            )
            sequence = changes[-1].sequence
            for response in _change_responses(changes, has_products=request.includes_products):
                yield response

    async def _products_after(self, product_id: str, count: int) -> AsyncIterator[StoredProduct]:
        """Reads products a few at a time: long ones fill a page long before it has so many."""
        while count > 0:
            asked_count = min(count, _LISTED_AT_ONCE)
            found = await self._catalogue.products_after(product_id, asked_count)
            for stored in found:
                yield stored
            if len(found) < asked_count:
                return
            product_id, count = found[-1].record.product_id, count - asked_count

    def _note_row(self, outcome: str, request: pb.UpsertProductsRequest) -> None:
        product_ids = (request.product.product_id,)
        self._audit_log.record(
            AuditEntry(method=UPSERT_METHOD, outcome=outcome, product_ids=product_ids)
        )

    async def _upsert(self, request: pb.UpsertProductsRequest, turns: Turns) -> pb.UpsertedProduct:
        # The lock lets repeats of one id pass in the order of the stream: it is fair, and requests
        # are started in that order.
        async with turns.setdefault(request.product.product_id, asyncio.Lock()):
            if request.HasField("update_mask"):
                new, stored, contract = await self._updater.update(
                    request.product, request.update_mask
                )
            else:
                new, stored, contract = await self._replace(request.product)
        return pb.UpsertedProduct(
            pattern=modality_pattern(new.vectors[0].pattern),
            replaced=stored.replaced,
            encoder=_encoder_of(new, contract),
        )

    async def _replace(
        self, product: product_pb2.Product
    ) -> tuple[NewProduct, Stored, EncoderContract]:
        """Stores a whole product; begins anew when the encoder changes meanwhile."""
        check_product(product, self._limits, "product")
        check_further_images(product, self._limits)
        check_first_image(len(product.further_images), has_image=bool(product.image))
        try:
            return await self._embed_and_store(product)
        except EncoderChangedError:
            return await self._embed_and_store(product)

    async def _embed_and_store(
        self, product: product_pb2.Product
    ) -> tuple[NewProduct, Stored, EncoderContract]:
        vectors, contract = await self._embedder.embed(product)
        new = NewProduct(
            record=record_from_product(product),
            vectors=vectors,
            thumbnail=await self._thumbnails.make(product.image),
        )
        return new, await self._catalogue.upsert(new), contract


def _change_responses(
    changes: Sequence[ProductChange], *, has_products: bool
) -> Iterator[pb.WatchChangesResponse]:
    response = pb.WatchChangesResponse()
    size_bytes = 0
    for change in changes:
        message = pb.ProductChange(
            change_sequence=change.sequence,
            product_id=change.product_id,
            kind=pb.CHANGE_KIND_DELETED if change.is_deletion else pb.CHANGE_KIND_UPSERTED,
        )
        if has_products and change.product is not None:
            write_product(change.product, message.product)
        size_bytes += message.ByteSize()
        if response.changes and size_bytes > _CHANGES_LIMIT_BYTES:
            yield response
            response = pb.WatchChangesResponse()
            size_bytes = message.ByteSize()
        response.changes.append(message)
    yield response


def _encoder_of(new: NewProduct, contract: EncoderContract) -> product_pb2.EncoderInfo:
    """Names the encoder of a product; one that an update did not embed may have an old one."""
    digest = new.vectors[0].digest
    if digest == contract.digest:
        return encoder_info(contract)
    return product_pb2.EncoderInfo(digest=digest)
