"""A small real server behind the access interceptor."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tritonclient.grpc import service_pb2

from twinshelf.server.access.access_interceptor import AccessInterceptor
from twinshelf.server.access.audit import AuditLog
from twinshelf.server.access.caller import caller
from twinshelf.server.access.key_ring import KeyRing
from twinshelf.server.access.rate_limit import RateLimit
from twinshelf.server.services.calls.call_interceptor import abort
from twinshelf.server.services.calls.statuses import status_of
from twinshelf.server.services.health import HealthServicer
from twinshelf.server.services.kserve.kserve_service import KSERVE_METHODS, KSERVE_SERVICE
from twinshelf.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    encoder_service_pb2,
    encoder_service_pb2_grpc,
    group_service_pb2,
    group_service_pb2_grpc,
    matching_service_pb2,
    matching_service_pb2_grpc,
)

Metadata = tuple[tuple[str, str], ...]
_MATCH, _CATALOG, _GROUP = matching_service_pb2, catalog_service_pb2, group_service_pb2
_ENCODER = encoder_service_pb2


class StubService(
    matching_service_pb2_grpc.MatchingServiceServicer,
    catalog_service_pb2_grpc.CatalogServiceServicer,
    group_service_pb2_grpc.GroupServiceServicer,
    encoder_service_pb2_grpc.EncoderServiceServicer,
):
    """Answers everything with an empty message; counts what reached it.

    Attributes:
        calls: How often each method was begun.
        key_ids: The callers of the methods, in the order in which they began.
        check_again: Called before each answer of a stream.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.key_ids: list[str] = []
        self.check_again: Callable[[], None] = lambda: None

    def _begin(self, method: str) -> None:
        self.calls[method] += 1
        known = caller.get()
        self.key_ids.append(known.key_id if known else "")

    async def _answers(self, method: str, requests: Any, answer: Message) -> AsyncIterator[Message]:
        self._begin(method)
        async for _ in requests:
            self.check_again()
            yield answer

    async def MatchProduct(  # noqa: N802 - the name in the proto
        self, request: matching_service_pb2.MatchProductRequest, context: Any
    ) -> matching_service_pb2.MatchProductResponse:
        self._begin("MatchProduct")
        return _MATCH.MatchProductResponse()

    async def MatchProducts(  # noqa: N802
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[Message]:
        answer = _MATCH.MatchProductsResponse()
        async for each in self._answers("MatchProducts", request_iterator, answer):
            yield each

    async def ScorePair(  # noqa: N802
        self, request: matching_service_pb2.ScorePairRequest, context: Any
    ) -> matching_service_pb2.ScorePairResponse:
        self._begin("ScorePair")
        return _MATCH.ScorePairResponse()

    async def PredictCategory(  # noqa: N802
        self, request: matching_service_pb2.PredictCategoryRequest, context: Any
    ) -> matching_service_pb2.PredictCategoryResponse:
        self._begin("PredictCategory")
        return _MATCH.PredictCategoryResponse()

    async def UpsertProducts(  # noqa: N802
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[Message]:
        answer = _CATALOG.UpsertProductsResponse()
        async for each in self._answers("UpsertProducts", request_iterator, answer):
            yield each

    async def GetProduct(  # noqa: N802
        self, request: catalog_service_pb2.GetProductRequest, context: Any
    ) -> catalog_service_pb2.GetProductResponse:
        self._begin("GetProduct")
        return _CATALOG.GetProductResponse()

    async def ListProducts(  # noqa: N802
        self, request: catalog_service_pb2.ListProductsRequest, context: Any
    ) -> catalog_service_pb2.ListProductsResponse:
        self._begin("ListProducts")
        return _CATALOG.ListProductsResponse()

    async def DeleteProducts(  # noqa: N802
        self, request: catalog_service_pb2.DeleteProductsRequest, context: Any
    ) -> catalog_service_pb2.DeleteProductsResponse:
        self._begin("DeleteProducts")
        return _CATALOG.DeleteProductsResponse()

    async def GetCatalogStats(  # noqa: N802
        self, request: catalog_service_pb2.GetCatalogStatsRequest, context: Any
    ) -> catalog_service_pb2.GetCatalogStatsResponse:
        self._begin("GetCatalogStats")
        return _CATALOG.GetCatalogStatsResponse()

    async def Snapshot(  # noqa: N802
        self, request: catalog_service_pb2.SnapshotRequest, context: Any
    ) -> catalog_service_pb2.SnapshotResponse:
        self._begin("Snapshot")
        return _CATALOG.SnapshotResponse()

    async def GetThumbnail(  # noqa: N802
        self, request: catalog_service_pb2.GetThumbnailRequest, context: Any
    ) -> catalog_service_pb2.GetThumbnailResponse:
        self._begin("GetThumbnail")
        return _CATALOG.GetThumbnailResponse()

    async def GetEmbeddings(  # noqa: N802
        self, request: catalog_service_pb2.GetEmbeddingsRequest, context: Any
    ) -> catalog_service_pb2.GetEmbeddingsResponse:
        self._begin("GetEmbeddings")
        return _CATALOG.GetEmbeddingsResponse()

    async def WatchChanges(  # noqa: N802
        self, request: catalog_service_pb2.WatchChangesRequest, context: Any
    ) -> AsyncIterator[catalog_service_pb2.WatchChangesResponse]:
        self._begin("WatchChanges")
        yield _CATALOG.WatchChangesResponse()

    async def ListGroups(  # noqa: N802
        self, request: group_service_pb2.ListGroupsRequest, context: Any
    ) -> group_service_pb2.ListGroupsResponse:
        self._begin("ListGroups")
        return _GROUP.ListGroupsResponse()

    async def GetGroup(  # noqa: N802
        self, request: group_service_pb2.GetGroupRequest, context: Any
    ) -> group_service_pb2.GetGroupResponse:
        self._begin("GetGroup")
        return _GROUP.GetGroupResponse()

    async def GroupHistory(  # noqa: N802
        self, request: group_service_pb2.GroupHistoryRequest, context: Any
    ) -> group_service_pb2.GroupHistoryResponse:
        self._begin("GroupHistory")
        return _GROUP.GroupHistoryResponse()

    async def MergeGroups(  # noqa: N802
        self, request: group_service_pb2.MergeGroupsRequest, context: Any
    ) -> group_service_pb2.MergeGroupsResponse:
        self._begin("MergeGroups")
        return _GROUP.MergeGroupsResponse()

    async def SplitGroup(  # noqa: N802
        self, request: group_service_pb2.SplitGroupRequest, context: Any
    ) -> group_service_pb2.SplitGroupResponse:
        self._begin("SplitGroup")
        return _GROUP.SplitGroupResponse()

    async def UndoGroupEvent(  # noqa: N802
        self, request: group_service_pb2.UndoGroupEventRequest, context: Any
    ) -> group_service_pb2.UndoGroupEventResponse:
        self._begin("UndoGroupEvent")
        return _GROUP.UndoGroupEventResponse()

    async def ListEncoders(  # noqa: N802
        self, request: encoder_service_pb2.ListEncodersRequest, context: Any
    ) -> encoder_service_pb2.ListEncodersResponse:
        self._begin("ListEncoders")
        return _ENCODER.ListEncodersResponse()

    async def Reindex(  # noqa: N802
        self, request: encoder_service_pb2.ReindexRequest, context: Any
    ) -> encoder_service_pb2.ReindexResponse:
        self._begin("Reindex")
        return _ENCODER.ReindexResponse()

    async def SwitchEncoder(  # noqa: N802
        self, request: encoder_service_pb2.SwitchEncoderRequest, context: Any
    ) -> encoder_service_pb2.SwitchEncoderResponse:
        self._begin("SwitchEncoder")
        return _ENCODER.SwitchEncoderResponse()

    async def DropEncoder(  # noqa: N802
        self, request: encoder_service_pb2.DropEncoderRequest, context: Any
    ) -> encoder_service_pb2.DropEncoderResponse:
        self._begin("DropEncoder")
        return _ENCODER.DropEncoderResponse()

    async def CompareEncoders(  # noqa: N802
        self, request: encoder_service_pb2.CompareEncodersRequest, context: Any
    ) -> encoder_service_pb2.CompareEncodersResponse:
        self._begin("CompareEncoders")
        return _ENCODER.CompareEncodersResponse()

    async def ReindexProducts(  # noqa: N802
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[Message]:
        answer = _ENCODER.ReindexProductsResponse()
        async for each in self._answers("ReindexProducts", request_iterator, answer):
            yield each

    def kserve_handler(self, name: str) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler of a method of GRPCInferenceService."""

        async def answer(request: Message, context: Any) -> Message:
            self._begin(name)
            return message_of(f"{name}Response")

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=type(message_of(f"{name}Request")).FromString,
            response_serializer=type(message_of(f"{name}Response")).SerializeToString,
        )


def message_of(name: str) -> Message:
    """Returns an empty message of the KServe protocol."""
    message: Message = getattr(service_pb2, name)()
    return message


async def _refuse(method: str, context: grpc.aio.ServicerContext, error: Exception) -> None:
    await abort(context, status_of(error, "request-1"))


@asynccontextmanager
async def serving(
    service: StubService,
    *,
    keys: Path,
    audit_log: AuditLog,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[str]:
    """Serves on a free port, with reflection and health; gives the address."""
    interceptor = AccessInterceptor(
        keys=KeyRing(keys), rate_limit=RateLimit(), audit_log=audit_log, refuse=_refuse
    )
    service.check_again = interceptor.check_again
    server = grpc.aio.server(interceptors=[interceptor], options=[("grpc.so_reuseport", 0)])
    matching_service_pb2_grpc.add_MatchingServiceServicer_to_server(service, server)
    catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(service, server)
    group_service_pb2_grpc.add_GroupServiceServicer_to_server(service, server)
    encoder_service_pb2_grpc.add_EncoderServiceServicer_to_server(service, server)
    kserve = {name: service.kserve_handler(name) for name in KSERVE_METHODS}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(KSERVE_SERVICE, kserve),))
    health = HealthServicer([""], 4)
    health.set_serving(True)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection((reflection.SERVICE_NAME,), server)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    yield f"127.0.0.1:{port}"
    health.stop()
    await server.stop(None)
