"""The RPCs of `EncoderService`: checks, the encoders of the catalogue, messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from typing import TypeVar

import grpc

from twinshelf.server.access.audit import AuditEntry, AuditLog
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import (
    EncoderConflictError,
    EncoderNotFoundError,
    InvalidRequestError,
    reason_of,
)
from twinshelf.server.services.calls.call_observer import CallObserver
from twinshelf.server.services.calls.streams import StreamBounds, answers_as_done
from twinshelf.server.services.conversions import encoder_info, modality_pattern
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.matching.encoder_comparison import DEPTH, EncoderComparison
from twinshelf.server.services.products.product_photos import photos_of
from twinshelf.server.services.products.reindexer import Reindexer
from twinshelf.server.services.requests import HasEncoder, echoed_id, is_asked_for
from twinshelf.v1 import encoder_service_pb2 as pb
from twinshelf.v1 import encoder_service_pb2_grpc, product_pb2

_SERVICE = pb.DESCRIPTOR.services_by_name["EncoderService"].full_name
Result = TypeVar("Result")


class EncoderServicer(encoder_service_pb2_grpc.EncoderServiceServicer):
    """Answers `twinshelf.v1.EncoderService`."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        encoders: ServingEncoders,
        reindexer: Reindexer,
        comparison: EncoderComparison,
        bounds: StreamBounds,
        observer: CallObserver,
        audit_log: AuditLog,
    ) -> None:
        """Takes the parts that it works with."""
        self._catalogue = catalogue
        self._encoders = encoders
        self._reindexer = reindexer
        self._comparison = comparison
        self._bounds = bounds
        self._observer = observer
        self._audit_log = audit_log

    async def ListEncoders(  # noqa: N802 - the name is the proto's
        self, request: pb.ListEncodersRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListEncodersResponse:
        """Tells of every encoder."""
        digests = self._catalogue.encoders.count_vectors().keys() | self._catalogue.encoders.kept
        digests = digests | {contract.digest for contract in self._encoders.known()}
        states = [self._state(digest) for digest in sorted(digests)]
        serving = [state for state in states if state.is_serving]
        others = [state for state in states if not state.is_serving]
        return pb.ListEncodersResponse(encoders=[*serving, *others])

    async def Reindex(  # noqa: N802 - the name is the proto's
        self, request: pb.ReindexRequest, context: grpc.aio.ServicerContext
    ) -> pb.ReindexResponse:
        """Begins to embed the catalogue for an encoder."""
        await self._noted("Reindex", "STARTED", request, self._reindex(request))
        return pb.ReindexResponse(encoder=self._state(self._reached(request).digest))

    async def ReindexProducts(  # noqa: N802 - the name is the proto's
        self, requests: AsyncIterator[pb.ReindexProductsRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.ReindexProductsResponse]:
        """Embeds a stream of products; each is answered when that is stored."""

        def size_bytes(request: pb.ReindexProductsRequest) -> int:
            """Returns what a request takes."""
            return self._bounds.message_bytes(request, lambda: photos_of(request.product))

        def refuse(
            position: int, request: pb.ReindexProductsRequest, error: Exception
        ) -> pb.ReindexProductsResponse:
            """Answers one product with its failure."""
            self._note_row(reason_of(error), request.product.product_id)
            return pb.ReindexProductsResponse(
                product_id=echoed_id(request.product.product_id),
                request_index=position,
                error=self._observer.row_status_of(error, position),
            )

        async def answer(
            position: int, request: pb.ReindexProductsRequest
        ) -> pb.ReindexProductsResponse:
            """Embeds one product; a failure ends as its answer, so that the stream goes on."""
            product_id = request.product.product_id
            try:
                pattern, was_embedded = await self._reindexer.embed(request.product)
            except Exception as error:  # the boundary: one product's failure is its own answer
                return refuse(position, request, error)
            except asyncio.CancelledError:  # the caller has gone; the product may be embedded
                self._note_row("CANCELLED", product_id)
                raise
            self._note_row("REINDEXED", product_id)
            response = pb.ReindexProductsResponse(product_id=product_id, request_index=position)
            response.reindexed.pattern = modality_pattern(pattern)
            response.reindexed.was_embedded = was_embedded
            return response

        async for response in answers_as_done(requests, answer, size_bytes, refuse, self._bounds):
            yield response

    async def SwitchEncoder(  # noqa: N802 - the name is the proto's
        self, request: pb.SwitchEncoderRequest, context: grpc.aio.ServicerContext
    ) -> pb.SwitchEncoderResponse:
        """Lets another encoder serve."""
        switched = self._switch(request)
        previous, contract = await self._noted("SwitchEncoder", "SWITCHED", request, switched)
        # Another version with the digest of the one that serves is no other encoder.
        is_same = contract.digest == previous.digest
        serving = previous if is_same else encoder_info(contract)
        return pb.SwitchEncoderResponse(serving=serving, previous=previous)

    async def DropEncoder(  # noqa: N802 - the name is the proto's
        self, request: pb.DropEncoderRequest, context: grpc.aio.ServicerContext
    ) -> pb.DropEncoderResponse:
        """Removes the vectors of an encoder."""
        count = await self._noted("DropEncoder", "DROPPED", request, self._drop(request))
        return pb.DropEncoderResponse(dropped_product_count=count)

    async def CompareEncoders(  # noqa: N802 - the name is the proto's
        self, request: pb.CompareEncodersRequest, context: grpc.aio.ServicerContext
    ) -> pb.CompareEncodersResponse:
        """Tells how two encoders answer the same offers."""
        response = pb.CompareEncodersResponse(
            serving=encoder_info(self._encoders.contract), depth=DEPTH
        )
        pair, sums = self._comparison.pair(), self._comparison.sums
        if pair is None:
            return response
        response.other.CopyFrom(encoder_info(pair[1]))
        if sums.digests != (pair[0].digest, pair[1].digest):
            return response
        response.query_count = sums.query_count
        response.failure_count = sums.failure_count
        if sums.query_count:
            response.mean_overlap = sums.mean_overlap
            response.same_best_share = sums.same_best_count / sums.query_count
        if sums.paired_count:
            response.mean_score_shift = sums.mean_score_shift
            response.mean_probability_shift = sums.probability_shift / sums.paired_count
        return response

    async def _reindex(self, request: HasEncoder) -> None:
        contract = self._reached(request)
        missing = self._catalogue.encoders.count_missing(contract.digest)
        if self._encoders.is_serving(contract) and not missing:
            raise EncoderConflictError(
                f"version {contract.version} serves, and has embedded every product"
            )
        self._reindexer.begin(contract.digest)
        if self._catalogue.encoders.current is None:
            # Of a new catalogue, before the watch has told it which encoder serves: that one would
            # not be kept beside the other.
            await self._catalogue.use_encoder(self._encoders.contract)
        await self._catalogue.encoders.keep(contract.digest)

    async def _switch(self, request: HasEncoder) -> tuple[product_pb2.EncoderInfo, EncoderContract]:
        """Returns the encoder that served, and the one that does now."""
        # It may be away: that is a reason to switch.
        digest = self._catalogue.encoders.current or self._encoders.contract.digest
        previous = self._state(digest).encoder
        contract = self._reached(request)
        # Where several are kept, another server may have just let one of them serve.
        if self._catalogue.encoders.kept or not self._encoders.is_serving(contract):
            await self._catalogue.encoders.switch(contract)
        return previous, contract

    async def _drop(self, request: HasEncoder) -> int:
        _check(request)
        reached = list(self._encoders.known())
        known = [each.digest for each in reached if is_asked_for(request, each)]
        if not known and any(each.digest == request.encoder_digest for each in reached):
            raise _not_found(request, "has another version")
        digest = known[0] if known else request.encoder_digest
        counts, kept = self._catalogue.encoders.count_vectors(), self._catalogue.encoders.kept
        if digest not in counts.keys() | kept:
            raise _not_found(request, "has embedded no product")
        return await self._catalogue.encoders.drop(digest)

    def _reached(self, request: HasEncoder) -> EncoderContract:
        """Returns the contract of the encoder that a request names."""
        _check(request)
        for contract in self._encoders.known():
            if is_asked_for(request, contract):
                return contract
        raise _not_found(
            request,
            "is not reached by this service: it is started with --other-triton HOST:PORT, or "
            "--encoder local --other-version N",
        )

    def _state(self, digest: str) -> pb.EncoderState:
        contract = next((each for each in self._encoders.known() if each.digest == digest), None)
        progress = self._reindexer.progress(digest)
        return pb.EncoderState(
            encoder=encoder_info(contract)
            if contract is not None
            else product_pb2.EncoderInfo(digest=digest),
            is_serving=digest == self._catalogue.encoders.current,
            is_reached=contract is not None,
            is_kept=digest in self._catalogue.encoders.kept,
            embedded_product_count=self._catalogue.encoders.count_vectors().get(digest, 0),
            missing_product_count=self._catalogue.encoders.count_missing(digest),
            waiting_product_count=progress.waiting_count,
            failed_product_count=progress.failed_count,
            failures=[
                pb.ReindexFailure(product_id=product_id, reason=reason)
                for product_id, reason in progress.failures
            ],
        )

    async def _noted(
        self,
        method: str,
        outcome: str,
        request: HasEncoder,
        change: Awaitable[Result],
    ) -> Result:
        """Waits for a change, and notes what became of it in the audit log."""
        entry = AuditEntry(
            method=f"/{_SERVICE}/{method}",
            encoder=request.encoder_digest or f"version {request.encoder_version}",
        )
        with self._audit_log.noting_failure(entry):
            result = await change
        self._audit_log.record(replace(entry, outcome=outcome))
        return result

    def _note_row(self, outcome: str, product_id: str) -> None:
        self._audit_log.record(
            AuditEntry(
                method=f"/{_SERVICE}/ReindexProducts", outcome=outcome, product_ids=(product_id,)
            )
        )


def _check(request: HasEncoder) -> None:
    if request.encoder_version < 0 or not (request.encoder_digest or request.encoder_version):
        raise InvalidRequestError(
            "encoder_digest or encoder_version must name an encoder", field="encoder_digest"
        )


def _not_found(request: HasEncoder, what: str) -> EncoderNotFoundError:
    name = request.encoder_digest[:128] or f"version {request.encoder_version}"
    return EncoderNotFoundError(f"the encoder {name} {what}")
