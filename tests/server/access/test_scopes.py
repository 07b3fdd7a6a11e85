"""The table of scopes has every method that the service offers, and nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from twinshelf.server.access.scopes import METHOD_SCOPES, Scope, needed_scope
from twinshelf.server.services.kserve.kserve_service import KSERVE_METHODS, KSERVE_SERVICE

ROOT = Path(__file__).resolve().parents[3]


def methods_of(descriptor: FileDescriptor) -> set[str]:
    return {
        f"/{service.full_name}/{method.name}"
        for service in descriptor.services_by_name.values()
        for method in service.methods
    }


def own_methods() -> set[str]:
    paths = (ROOT / "protos").rglob("*_pb2.py")
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return set().union(*(methods_of(importlib.import_module(name).DESCRIPTOR) for name in names))


def test_every_method_has_a_scope_and_every_row_is_a_method() -> None:
    assert len(own_methods()) >= 7
    others = methods_of(health_pb2.DESCRIPTOR) | methods_of(reflection_pb2.DESCRIPTOR)
    others |= {f"/{KSERVE_SERVICE}/{name}" for name in KSERVE_METHODS}
    assert set(METHOD_SCOPES) == own_methods() | others


def test_no_method_of_ours_is_open_and_health_alone_is() -> None:
    is_open = {method for method, scope in METHOD_SCOPES.items() if scope is Scope.OPEN}
    probes = {f"/{KSERVE_SERVICE}/{name}" for name in ("ServerLive", "ServerReady")}
    assert is_open == methods_of(health_pb2.DESCRIPTOR) | probes


def test_what_changes_the_catalogue_needs_write() -> None:
    writes = {method for method, scope in METHOD_SCOPES.items() if scope is Scope.WRITE}
    names = {method.rpartition("/")[2] for method in writes}
    groups = {"MergeGroups", "SplitGroup", "UndoGroupEvent"}
    assert names == {"UpsertProducts", "DeleteProducts"} | groups


def test_an_unknown_method_needs_admin() -> None:
    assert needed_scope("/twinshelf.v1.CatalogService/DropEverything") is Scope.ADMIN
    assert needed_scope("") is Scope.ADMIN


def test_a_larger_scope_includes_the_smaller_ones() -> None:
    assert Scope.OPEN < Scope.READ < Scope.WRITE < Scope.ADMIN
