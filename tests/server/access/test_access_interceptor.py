"""Every method, with every kind of key: who may call what, through a real server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.server.access.guarded_calls import CALLS, bearer, outcome_of
from tests.server.access.guarded_service import StubService, serving
from tests.server.access.keys import make_key, token_of, write_keys
from tests.server.calls import detail, error_info, status_of
from twinshelf.server.access import key_ring
from twinshelf.server.access.audit import AuditLog
from twinshelf.server.access.scopes import METHOD_SCOPES, Scope
from twinshelf.server.services.kserve.kserve_service import KSERVE_METHODS
from twinshelf.v1 import catalog_service_pb2, catalog_service_pb2_grpc, product_pb2

CREDENTIALS: dict[str, tuple[tuple[str, str], ...]] = {
    "no key": (),
    "wrong secret": bearer("ts_admin_wrong"),
    "unknown id": bearer(token_of("nobody")),
    "no token": bearer("x"),
    "another scheme": (("authorization", f"Basic {token_of('admin')}"),),
    "two keys": bearer(token_of("admin")) * 2,
    "expired": bearer(token_of("expired")),
    "revoked": bearer(token_of("revoked")),
    "read": bearer(token_of("read")),
    "write": bearer(token_of("write")),
    "admin": bearer(token_of("admin")),
}
HELD = {"read": Scope.READ, "write": Scope.WRITE, "admin": Scope.ADMIN}


def expected_outcome(credential: str, method: str) -> str:
    needed = METHOD_SCOPES[method]
    if needed is Scope.OPEN:
        return "OK"
    if credential not in HELD:
        return "UNAUTHENTICATED"
    return "OK" if HELD[credential] >= needed else "PERMISSION_DENIED"


@pytest.fixture
def service() -> StubService:
    return StubService()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    now_s = int(time.time())
    return write_keys(
        tmp_path / "keys.json",
        make_key("read"),
        make_key("write", "WRITE"),
        make_key("admin", "ADMIN"),
        make_key("expired", "ADMIN", expire_s=now_s - 1),
        make_key("revoked", "ADMIN", revoke_s=now_s - 1),
        make_key("limited", requests_per_second=0.01, burst_count=2),
    )


@pytest.fixture
def audit_path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
async def channel(
    service: StubService, keys: Path, audit_path: Path
) -> AsyncIterator[grpc.aio.Channel]:
    audit_log = AuditLog(audit_path)
    async with serving(service, keys=keys, audit_log=audit_log) as address:
        async with grpc.aio.insecure_channel(address) as channel:
            yield channel
    audit_log.close()


def test_every_method_is_called() -> None:
    assert set(CALLS) == set(METHOD_SCOPES)


@pytest.mark.parametrize("credential", CREDENTIALS)
async def test_each_key_may_call_what_its_scope_allows(
    channel: grpc.aio.Channel, service: StubService, credential: str
) -> None:
    outcomes = {
        method: await outcome_of(method, channel, CREDENTIALS[credential]) for method in CALLS
    }
    expected = {method: expected_outcome(credential, method) for method in CALLS}
    assert outcomes == expected
    # What was refused did not begin.
    begun = {method.rpartition("/")[2] for method, outcome in outcomes.items() if outcome == "OK"}
    stub_methods = {name for name in begun if hasattr(service, name) or name in KSERVE_METHODS}
    assert set(service.calls) == stub_methods
    # Nobody looks at the key of a probe.
    assert set(service.key_ids) <= {credential, ""}


async def failure_of(
    channel: grpc.aio.Channel, metadata: Any, method: str = "GetProduct"
) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await CALLS[f"/twinshelf.v1.CatalogService/{method}"](channel, metadata)
    return raised.value


@pytest.mark.parametrize(
    ("credential", "sentence"),
    [
        ("no key", "the call needs an API key: `authorization: Bearer <key>`"),
        ("wrong secret", "the API key is unknown"),
        ("unknown id", "the API key is unknown"),
        ("no token", "the API key is unknown"),
        ("another scheme", "the authorization must be `Bearer <key>`"),
        ("expired", "the API key expired has expired"),
        ("revoked", "the API key revoked was revoked"),
    ],
)
async def test_a_refusal_is_one_sentence_with_details(
    channel: grpc.aio.Channel, credential: str, sentence: str
) -> None:
    error = await failure_of(channel, CREDENTIALS[credential])
    assert error.details() == sentence
    assert error_info(error).reason == "UNAUTHENTICATED"
    assert detail(status_of(error), error_details_pb2.RequestInfo).request_id == "request-1"


async def test_a_missing_scope_is_named(channel: grpc.aio.Channel) -> None:
    error = await failure_of(channel, CREDENTIALS["read"], "DeleteProducts")
    assert error.details() == "the method needs scope write; the API key read has read"
    assert error_info(error).reason == "PERMISSION_DENIED"


async def test_an_unknown_method_is_told_apart_for_admins_only(channel: grpc.aio.Channel) -> None:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    call = channel.unary_unary("/twinshelf.v1.CatalogService/DropEverything")
    codes = []
    for credential in ("no key", "write", "admin"):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(b"", metadata=CREDENTIALS[credential], timeout=10)
        codes.append(raised.value.code().name)
    assert codes == ["UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"]


async def test_calls_above_the_limit_of_a_key_are_told_when_to_come_back(
    channel: grpc.aio.Channel, service: StubService
) -> None:
    limited = bearer(token_of("limited"))
    stream = "/twinshelf.v1.MatchingService/MatchProducts"
    assert await outcome_of(stream, channel, limited) == "OK"  # a stream counts once
    method = "/twinshelf.v1.CatalogService/GetProduct"
    assert await outcome_of(method, channel, limited) == "OK"
    error = await failure_of(channel, limited)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error_info(error).reason == "RATE_LIMITED"
    retry = detail(status_of(error), error_details_pb2.RetryInfo)
    assert 90 < retry.retry_delay.ToTimedelta().total_seconds() <= 100
    assert await outcome_of(method, channel, CREDENTIALS["read"]) == "OK"
    assert service.calls["GetProduct"] == 2


async def test_a_refused_caller_is_answered_before_its_message_is_read(
    channel: grpc.aio.Channel,
) -> None:
    # gRPC reads no more than 4 MiB and would answer RESOURCE_EXHAUSTED, had it read.
    product = product_pb2.Product(product_id="p", image=bytes(5 * 1024 * 1024))
    request = catalog_service_pb2.UpsertProductsRequest(product=product).SerializeToString()
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    call = channel.unary_unary("/twinshelf.v1.CatalogService/DeleteProducts")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(request, timeout=10)
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_new_key_and_a_revoked_one_count_without_a_restart(
    channel: grpc.aio.Channel, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_ring, "LOOK_INTERVAL_S", 0.0)
    method = "/twinshelf.v1.CatalogService/GetProduct"
    assert await outcome_of(method, channel, CREDENTIALS["read"]) == "OK"
    write_keys(keys, make_key("read", revoke_s=1), make_key("newer"))
    assert await outcome_of(method, channel, CREDENTIALS["read"]) == "UNAUTHENTICATED"
    assert await outcome_of(method, channel, bearer(token_of("newer"))) == "OK"


async def test_an_open_stream_ends_when_its_key_is_revoked(
    channel: grpc.aio.Channel, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_ring, "LOOK_INTERVAL_S", 0.0)
    stub = catalog_service_pb2_grpc.CatalogServiceStub(channel)
    call = stub.UpsertProducts(metadata=CREDENTIALS["write"], timeout=10)
    request = catalog_service_pb2.UpsertProductsRequest()
    await call.write(request)
    assert await call.read() is not grpc.aio.EOF
    write_keys(keys, make_key("write", "READ"))
    await call.write(request)
    # The stub does not map errors; that the stream ended is what counts here.
    with pytest.raises(grpc.aio.AioRpcError, match="lost scope write"):
        await call.read()


async def test_callers_of_one_connection_are_not_mixed_up(
    channel: grpc.aio.Channel, service: StubService
) -> None:
    names = ["read", "write", "admin"] * 40
    method = "/twinshelf.v1.CatalogService/ListProducts"
    await asyncio.gather(*(outcome_of(method, channel, CREDENTIALS[name]) for name in names))
    assert {name: service.key_ids.count(name) for name in HELD} == dict.fromkeys(HELD, 40)


async def test_admin_calls_and_refused_writes_of_known_callers_are_audited(
    channel: grpc.aio.Channel, audit_path: Path
) -> None:
    delete = "/twinshelf.v1.CatalogService/DeleteProducts"
    reflect = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    read = "/twinshelf.v1.CatalogService/GetProduct"
    for method, credential in [
        (delete, "read"),
        (delete, "no key"),  # strangers must not fill the log
        (delete, "expired"),
        (reflect, "write"),
        (reflect, "admin"),
        (read, "admin"),
    ]:
        await outcome_of(method, channel, CREDENTIALS[credential])
    lines = [json.loads(line) for line in audit_path.read_text().splitlines()]
    assert [(each["key_id"], each["method"], each["outcome"]) for each in lines] == [
        ("read", delete, "PERMISSION_DENIED"),
        ("write", reflect, "PERMISSION_DENIED"),
        ("admin", reflect, "BEGUN"),
    ]
    assert all(each["peer"].startswith("ipv4:127.0.0.1:") for each in lines)
