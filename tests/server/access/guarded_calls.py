"""A way to make each call of the server in `guarded_service`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tritonclient.grpc import service_pb2_grpc

from tests.server.access.guarded_service import Metadata, message_of
from twinshelf.server.services.calls.statuses import STATUS_DETAILS_KEY
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

_MATCH, _CATALOG, _GROUP = matching_service_pb2, catalog_service_pb2, group_service_pb2
_ENCODER = encoder_service_pb2
_ATTEMPTS = 3
Call = Callable[[grpc.aio.Channel, Metadata], Awaitable[Any]]


def _unary(stub: Callable[[Any], Any], name: str, request: Message) -> Call:
    def call(channel: grpc.aio.Channel, metadata: Metadata) -> Awaitable[Any]:
        return getattr(stub(channel), name)(request, metadata=metadata, timeout=10)

    return call


def _stream(stub: Callable[[Any], Any], name: str, request: Message) -> Call:
    async def call(channel: grpc.aio.Channel, metadata: Metadata) -> Any:
        method = getattr(stub(channel), name)
        return [each async for each in method(iter([request]), metadata=metadata, timeout=10)]

    return call


def _answers(stub: Callable[[Any], Any], name: str, request: Message) -> Call:
    async def call(channel: grpc.aio.Channel, metadata: Metadata) -> Any:
        method = getattr(stub(channel), name)
        return [each async for each in method(request, metadata=metadata, timeout=10)]

    return call


async def _watch(channel: grpc.aio.Channel, metadata: Metadata) -> Any:
    call = health_pb2_grpc.HealthStub(channel).Watch(
        health_pb2.HealthCheckRequest(), metadata=metadata, timeout=10
    )
    answer = await call.read()
    call.cancel()
    return answer


_MATCHING = matching_service_pb2_grpc.MatchingServiceStub


_CATALOGUE = catalog_service_pb2_grpc.CatalogServiceStub


_ENCODERS = encoder_service_pb2_grpc.EncoderServiceStub


_GROUPS = group_service_pb2_grpc.GroupServiceStub


_HEALTH = health_pb2_grpc.HealthStub


_REFLECTION = reflection_pb2_grpc.ServerReflectionStub


_SERVICE = "/twinshelf.v1"


CALLS: dict[str, Call] = {
    f"{_SERVICE}.MatchingService/MatchProduct": _unary(
        _MATCHING, "MatchProduct", _MATCH.MatchProductRequest()
    ),
    f"{_SERVICE}.MatchingService/MatchProducts": _stream(
        _MATCHING, "MatchProducts", _MATCH.MatchProductsRequest()
    ),
    f"{_SERVICE}.MatchingService/ScorePair": _unary(
        _MATCHING, "ScorePair", _MATCH.ScorePairRequest()
    ),
    f"{_SERVICE}.MatchingService/PredictCategory": _unary(
        _MATCHING, "PredictCategory", _MATCH.PredictCategoryRequest()
    ),
    f"{_SERVICE}.CatalogService/UpsertProducts": _stream(
        _CATALOGUE, "UpsertProducts", _CATALOG.UpsertProductsRequest()
    ),
    f"{_SERVICE}.CatalogService/GetProduct": _unary(
        _CATALOGUE, "GetProduct", _CATALOG.GetProductRequest()
    ),
    f"{_SERVICE}.CatalogService/ListProducts": _unary(
        _CATALOGUE, "ListProducts", _CATALOG.ListProductsRequest()
    ),
    f"{_SERVICE}.CatalogService/DeleteProducts": _unary(
        _CATALOGUE, "DeleteProducts", _CATALOG.DeleteProductsRequest()
    ),
    f"{_SERVICE}.CatalogService/GetThumbnail": _unary(
        _CATALOGUE, "GetThumbnail", _CATALOG.GetThumbnailRequest()
    ),
    f"{_SERVICE}.CatalogService/GetEmbeddings": _unary(
        _CATALOGUE, "GetEmbeddings", _CATALOG.GetEmbeddingsRequest()
    ),
    f"{_SERVICE}.CatalogService/WatchChanges": _answers(
        _CATALOGUE, "WatchChanges", _CATALOG.WatchChangesRequest()
    ),
    f"{_SERVICE}.CatalogService/Snapshot": _unary(
        _CATALOGUE, "Snapshot", _CATALOG.SnapshotRequest()
    ),
    f"{_SERVICE}.CatalogService/GetCatalogStats": _unary(
        _CATALOGUE, "GetCatalogStats", _CATALOG.GetCatalogStatsRequest()
    ),
    f"{_SERVICE}.GroupService/ListGroups": _unary(
        _GROUPS, "ListGroups", _GROUP.ListGroupsRequest()
    ),
    f"{_SERVICE}.GroupService/GetGroup": _unary(_GROUPS, "GetGroup", _GROUP.GetGroupRequest()),
    f"{_SERVICE}.GroupService/GroupHistory": _unary(
        _GROUPS, "GroupHistory", _GROUP.GroupHistoryRequest()
    ),
    f"{_SERVICE}.GroupService/MergeGroups": _unary(
        _GROUPS, "MergeGroups", _GROUP.MergeGroupsRequest()
    ),
    f"{_SERVICE}.GroupService/SplitGroup": _unary(
        _GROUPS, "SplitGroup", _GROUP.SplitGroupRequest()
    ),
    f"{_SERVICE}.GroupService/UndoGroupEvent": _unary(
        _GROUPS, "UndoGroupEvent", _GROUP.UndoGroupEventRequest()
    ),
    f"{_SERVICE}.EncoderService/ListEncoders": _unary(
        _ENCODERS, "ListEncoders", _ENCODER.ListEncodersRequest()
    ),
    f"{_SERVICE}.EncoderService/CompareEncoders": _unary(
        _ENCODERS, "CompareEncoders", _ENCODER.CompareEncodersRequest()
    ),
    f"{_SERVICE}.EncoderService/Reindex": _unary(_ENCODERS, "Reindex", _ENCODER.ReindexRequest()),
    f"{_SERVICE}.EncoderService/SwitchEncoder": _unary(
        _ENCODERS, "SwitchEncoder", _ENCODER.SwitchEncoderRequest()
    ),
    f"{_SERVICE}.EncoderService/DropEncoder": _unary(
        _ENCODERS, "DropEncoder", _ENCODER.DropEncoderRequest()
    ),
    f"{_SERVICE}.EncoderService/ReindexProducts": _stream(
        _ENCODERS, "ReindexProducts", _ENCODER.ReindexProductsRequest()
    ),
    "/grpc.health.v1.Health/Check": _unary(_HEALTH, "Check", health_pb2.HealthCheckRequest()),
    "/grpc.health.v1.Health/Watch": _watch,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _stream(
        _REFLECTION,
        "ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest(list_services=""),
    ),
    **{
        f"/{KSERVE_SERVICE}/{name}": _unary(
            service_pb2_grpc.GRPCInferenceServiceStub, name, message_of(f"{name}Request")
        )
        for name in KSERVE_METHODS
    },
}


async def outcome_of(method: str, channel: grpc.aio.Channel, metadata: Metadata = ()) -> str:
    """Makes a call; returns the name of its code.

    An error of the server has details. One without them is of gRPC's client, of a stream that the
    server ended while it sent, and the call is made again.
    """
    code = ""
    for _ in range(_ATTEMPTS):
        try:
            await CALLS[method](channel, metadata)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            if STATUS_DETAILS_KEY in dict(error.trailing_metadata() or ()):
                return code
        else:
            return "OK"
    return code


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)
