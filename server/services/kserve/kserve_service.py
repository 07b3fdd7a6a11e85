"""`GRPCInferenceService` for one model: the whole path from an offer to its matches.

It lets perf_analyzer load, and any KServe client use, what MatchingService does.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from twinshelf.server.catalogue.ranking import HitPage
from twinshelf.server.errors import (
    InvalidRequestError,
    ModelNotFoundError,
    TwinshelfError,
)
from twinshelf.server.services.calls.call_interceptor import deadline_of
from twinshelf.server.services.calls.call_observer import CallObserver
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.health import HealthServicer
from twinshelf.server.services.kserve.infer_tensors import (
    MatchedRow,
    read_requests,
    read_version,
    write_response,
)
from twinshelf.server.services.kserve.matcher_model import (
    MODEL_NAME,
    OUTPUTS,
    PLATFORM,
    model_config,
    model_metadata,
)
from twinshelf.server.services.matching.encoder_comparison import EncoderComparison
from twinshelf.server.services.matching.matcher import Matcher
from twinshelf.server.services.requests import match_page_token
from twinshelf.v1 import matching_service_pb2

_SERVICE: Final = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
KSERVE_SERVICE: Final = _SERVICE.full_name
# The others of the protocol load models and share memory: nothing of that is here.
KSERVE_METHODS: Final = (
    "ServerLive",
    "ServerReady",
    "ServerMetadata",
    "ModelReady",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
    "ModelInfer",
)
INFER_METHOD: Final = f"/{KSERVE_SERVICE}/ModelInfer"


@dataclass(slots=True, kw_only=True)
class _Tally:
    """Calls that ended in one way, and how long they took in all, ns."""

    count: int = 0
    duration_ns: int = 0

    def add(self, start_ns: int) -> None:
        """Counts a call that began then."""
        self.count += 1
        self.duration_ns += time.perf_counter_ns() - start_ns


class KserveServicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers `inference.GRPCInferenceService` for the model `product_matcher`.

    Each row of a batch is matched by itself; one that fails says why in STATUS. A call whose rows
    all fail, or that asks for other outputs alone, ends with the error of the first that failed.
    """

    def __init__(
        self,
        *,
        matcher: Matcher,
        comparison: EncoderComparison,
        encoders: ServingEncoders,
        health: HealthServicer,
        observer: CallObserver,
        match_count_limit: int,
    ) -> None:
        """Takes the parts that it works with, and the most matches that a row may ask for."""
        self._matcher = matcher
        self._comparison = comparison
        self._encoders = encoders
        self._health = health
        self._observer = observer
        self._match_count_limit = match_count_limit
        self._answered, self._failed = _Tally(), _Tally()
        self._row_count = 0

    def add_to(self, server: grpc.aio.Server) -> None:
        """Offers the methods that there are; gRPC answers UNIMPLEMENTED to the others."""
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            name: grpc.unary_unary_rpc_method_handler(
                getattr(self, name),
                request_deserializer=getattr(service_pb2, f"{name}Request").FromString,
                response_serializer=getattr(service_pb2, f"{name}Response").SerializeToString,
            )
            for name in KSERVE_METHODS
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(KSERVE_SERVICE, handlers),)
        )

    async def ServerLive(  # noqa: N802 - the name is the protocol's
        self, request: service_pb2.ServerLiveRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ServerLiveResponse:
        """Says that the process answers."""
        return service_pb2.ServerLiveResponse(live=True)

    async def ServerReady(  # noqa: N802 - the name is the protocol's
        self, request: service_pb2.ServerReadyRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ServerReadyResponse:
        """Says whether offers can be matched, as the health service does."""
        return service_pb2.ServerReadyResponse(ready=self._health.is_serving)

    async def ServerMetadata(  # noqa: N802 - the name is the protocol's
        self, request: service_pb2.ServerMetadataRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ServerMetadataResponse:
        """Names the server; it has the extension of binary data, as every gRPC server."""
        return service_pb2.ServerMetadataResponse(
            name=PLATFORM, version="1", extensions=["model_configuration", "statistics"]
        )

    async def ModelReady(  # noqa: N802 - the name is the protocol's
        self, request: service_pb2.ModelReadyRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelReadyResponse:
        """Says whether the version can be asked; False where it is not served, or away."""
        try:
            version = self._answering_version(request.name, request.version)
        except InvalidRequestError:
            raise
        except TwinshelfError:
            return service_pb2.ModelReadyResponse(ready=False)
        # Health is that of the encoder that serves.
        is_ready = self._health.is_serving or version in self._versions_beside()
        return service_pb2.ModelReadyResponse(ready=is_ready)

    async def ModelMetadata(  # noqa: N802 - the name is the protocol's
        self, request: service_pb2.ModelMetadataRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelMetadataResponse:
        """Describes the tensors of `product_matcher`."""
        self._check(request.name, request.version)
        beside = self._versions_beside()
        try:
            return model_metadata([self._encoders.contract.version, *beside])
        except TwinshelfError:
            return model_metadata(beside)

    async def ModelConfig(  # noqa: N802 - the name is the protocol's
        self, request: service_pb2.ModelConfigRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelConfigResponse:
        """Returns the configuration of `product_matcher`, as Triton's of its models."""
        self._check(request.name, request.version)
        return model_config()

    async def ModelStatistics(  # noqa: N802 - the name is the protocol's
        self, request: service_pb2.ModelStatisticsRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelStatisticsResponse:
        """Counts the calls since the start; the service's metrics tell them apart by stage."""
        version = self._answering_version(request.name or MODEL_NAME, request.version)
        response = service_pb2.ModelStatisticsResponse()
        model = response.model_stats.add(name=MODEL_NAME, version=str(version))
        model.inference_count = self._row_count
        model.execution_count = self._answered.count
        for tally, duration in (
            (self._answered, model.inference_stats.success),
            (self._failed, model.inference_stats.fail),
        ):
            duration.count, duration.ns = tally.count, tally.duration_ns
        stats = model.inference_stats
        stats.compute_infer.CopyFrom(stats.success)
        # Not timed apart, but perf_analyzer wants all of them to count the same.
        for part in (stats.queue, stats.compute_input, stats.compute_output):
            part.count = self._answered.count
        return response

    async def ModelInfer(  # noqa: N802 - the name is the protocol's
        self, request: service_pb2.ModelInferRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelInferResponse:
        """Matches a batch of offers."""
        start_ns = time.perf_counter_ns()
        try:
            version = self._answering_version(request.model_name, request.model_version)
            told = {output.name for output in request.outputs[: len(OUTPUTS)]}
            rows = await self._match_all(
                read_requests(request, self._match_count_limit),
                deadline_of(context),
                tells=not told or "STATUS" in told,
            )
            response = write_response(request, version, rows)
        except BaseException:
            self._failed.add(start_ns)
            raise
        self._answered.add(start_ns)
        self._row_count += len(rows)
        return response

    async def _match_all(
        self,
        requests: list[matching_service_pb2.MatchProductRequest | InvalidRequestError],
        deadline_s: float | None,
        *,
        tells: bool,
    ) -> list[MatchedRow]:
        """Matches rows; where STATUS is not asked for, the first that fails fails them all."""
        answers = await asyncio.gather(
            *(self._match(request, deadline_s) for request in requests), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
        errors = [answer for answer in answers if isinstance(answer, Exception)]
        if errors and (len(errors) == len(answers) or not tells):
            raise errors[0]
        return [
            self._failure(answer, position) if isinstance(answer, BaseException) else answer
            for position, answer in enumerate(answers)
        ]

    async def _match(
        self,
        request: matching_service_pb2.MatchProductRequest | InvalidRequestError,
        deadline_s: float | None,
    ) -> MatchedRow:
        if isinstance(request, InvalidRequestError):
            raise request
        result = await self._matcher.match(request, deadline_s=deadline_s)
        self._comparison.consider(request, result)
        page, digest = result.found.page, result.found.contract.digest
        matches = _matches(page)
        # A page is cut by texts that are not answered here.
        while page.next_skip_count is not None:
            request.page_token = match_page_token(request, page.next_skip_count, digest)
            page = (await self._matcher.match(request, deadline_s=deadline_s)).found.page
            matches += _matches(page)
        return MatchedRow(matches=matches, no_match_probability=page.no_match_probability)

    def _failure(self, error: BaseException, position: int) -> MatchedRow:
        return MatchedRow(status=self._observer.row_status_of(error, position).message)

    def _check(self, name: str, version: str) -> int:
        """Returns the version that is asked for, 0 for the one that serves.

        Raises:
            InvalidRequestError: If the version is no number.
            ModelNotFoundError: If there is no such model or version.
            TwinshelfError: If the encoder that serves is away: the version may be its own.
        """
        if name != MODEL_NAME:
            raise ModelNotFoundError(f"the only model here is {MODEL_NAME!r}, got {name[:64]!r}")
        asked, beside = read_version(version), self._versions_beside()
        if asked and asked not in beside and asked != (serving := self._encoders.contract.version):
            raise ModelNotFoundError(
                f"{MODEL_NAME} has the versions {[serving, *beside]}, got {asked}"
            )
        return asked

    def _answering_version(self, name: str, version: str) -> int:
        return self._check(name, version) or self._encoders.contract.version

    def _versions_beside(self) -> list[int]:
        return [contract.version for contract in self._encoders.beside()]


def _matches(page: HitPage) -> list[tuple[str, float, float]]:
    return [
        (hit.product.record.product_id, hit.ranked.score, hit.ranked.probability)
        for hit in page.hits
    ]
