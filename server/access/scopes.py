"""Which scope each method needs: the one table."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from twinshelf.v1 import access_pb2


class Scope(IntEnum):
    """What a key allows, or a method needs; a larger one allows what the smaller ones allow."""

    OPEN = access_pb2.ACCESS_SCOPE_UNSPECIFIED
    READ = access_pb2.ACCESS_SCOPE_READ
    WRITE = access_pb2.ACCESS_SCOPE_WRITE
    ADMIN = access_pb2.ACCESS_SCOPE_ADMIN


METHOD_SCOPES: Final[dict[str, Scope]] = {
    "/twinshelf.v1.MatchingService/MatchProduct": Scope.READ,
    "/twinshelf.v1.MatchingService/MatchProducts": Scope.READ,
    "/twinshelf.v1.MatchingService/ScorePair": Scope.READ,
    "/twinshelf.v1.MatchingService/PredictCategory": Scope.READ,
    "/twinshelf.v1.CatalogService/GetProduct": Scope.READ,
    "/twinshelf.v1.CatalogService/ListProducts": Scope.READ,
    "/twinshelf.v1.CatalogService/GetCatalogStats": Scope.READ,
    "/twinshelf.v1.CatalogService/GetThumbnail": Scope.READ,
    "/twinshelf.v1.CatalogService/GetEmbeddings": Scope.READ,
    "/twinshelf.v1.CatalogService/WatchChanges": Scope.READ,
    "/twinshelf.v1.CatalogService/Snapshot": Scope.ADMIN,
    "/twinshelf.v1.CatalogService/UpsertProducts": Scope.WRITE,
    "/twinshelf.v1.CatalogService/DeleteProducts": Scope.WRITE,
    "/twinshelf.v1.GroupService/ListGroups": Scope.READ,
    "/twinshelf.v1.GroupService/GetGroup": Scope.READ,
    "/twinshelf.v1.GroupService/GroupHistory": Scope.READ,
    "/twinshelf.v1.GroupService/MergeGroups": Scope.WRITE,
    "/twinshelf.v1.GroupService/SplitGroup": Scope.WRITE,
    "/twinshelf.v1.GroupService/UndoGroupEvent": Scope.WRITE,
    "/twinshelf.v1.EncoderService/ListEncoders": Scope.READ,
    "/twinshelf.v1.EncoderService/CompareEncoders": Scope.READ,
    "/twinshelf.v1.EncoderService/Reindex": Scope.ADMIN,
    "/twinshelf.v1.EncoderService/ReindexProducts": Scope.ADMIN,
    "/twinshelf.v1.EncoderService/SwitchEncoder": Scope.ADMIN,
    "/twinshelf.v1.EncoderService/DropEncoder": Scope.ADMIN,
    "/inference.GRPCInferenceService/ServerMetadata": Scope.READ,
    "/inference.GRPCInferenceService/ModelReady": Scope.READ,
    "/inference.GRPCInferenceService/ModelMetadata": Scope.READ,
    "/inference.GRPCInferenceService/ModelConfig": Scope.READ,
    "/inference.GRPCInferenceService/ModelStatistics": Scope.READ,
    "/inference.GRPCInferenceService/ModelInfer": Scope.READ,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Scope.ADMIN,
    # A load balancer that asks whether the service is well has no key.
    "/grpc.health.v1.Health/Check": Scope.OPEN,
    "/grpc.health.v1.Health/Watch": Scope.OPEN,
    "/inference.GRPCInferenceService/ServerLive": Scope.OPEN,
    "/inference.GRPCInferenceService/ServerReady": Scope.OPEN,
}


def needed_scope(method: str) -> Scope:
    """Returns what a method needs; one that is not in the table needs the most.

    Args:
        method: Full name, such as "/twinshelf.v1.CatalogService/GetProduct".
    """
    return METHOD_SCOPES.get(method, Scope.ADMIN)
