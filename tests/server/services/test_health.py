"""The health service: states, watchers that come and go, and stopping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from twinshelf.server.services.health import OVERALL, HealthServicer

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture
def servicer() -> HealthServicer:
    return HealthServicer((OVERALL, "a"), 4)


@pytest.fixture
async def stub(servicer: HealthServicer) -> AsyncIterator[health_pb2_grpc.HealthStub]:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield health_pb2_grpc.HealthStub(channel)
    await server.stop(None)


async def check(stub: health_pb2_grpc.HealthStub, service: str) -> int:
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


async def test_nothing_serves_before_it_is_said_to(
    stub: health_pb2_grpc.HealthStub, servicer: HealthServicer
) -> None:
    assert [await check(stub, name) for name in (OVERALL, "a")] == [NOT_SERVING] * 2
    servicer.set_serving(True)
    assert [await check(stub, name) for name in (OVERALL, "a")] == [SERVING] * 2


async def test_an_unknown_service_is_not_found_but_can_be_watched(
    stub: health_pb2_grpc.HealthStub,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(stub, "nowhere")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="nowhere"))
    assert (await watch.read()).status == UNKNOWN
    watch.cancel()


async def test_watchers_are_told_although_another_has_left(
    stub: health_pb2_grpc.HealthStub, servicer: HealthServicer
) -> None:
    watches = [stub.Watch(health_pb2.HealthCheckRequest(service="a")) for _ in range(3)]
    for watch in watches:
        assert (await watch.read()).status == NOT_SERVING
    watches.pop().cancel()
    await asyncio.sleep(0.05)  # no assertion hangs on this: it only lets the cancelling arrive
    servicer.set_serving(True)
    for watch in watches:
        assert (await watch.read()).status == SERVING


async def test_stopping_tells_the_watchers_and_lets_them_go(
    stub: health_pb2_grpc.HealthStub, servicer: HealthServicer
) -> None:
    servicer.set_serving(True)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="a"))
    assert (await watch.read()).status == SERVING
    servicer.stop()
    assert (await watch.read()).status == NOT_SERVING
    assert await watch.read() is grpc.aio.EOF
    servicer.set_serving(True)
    assert await check(stub, "a") == NOT_SERVING


async def test_watchers_are_bounded_and_checks_are_not(
    stub: health_pb2_grpc.HealthStub, servicer: HealthServicer
) -> None:
    watches = [stub.Watch(health_pb2.HealthCheckRequest(service="a")) for _ in range(4)]
    for watch in watches:
        await watch.read()
    with pytest.raises(grpc.aio.AioRpcError, match="ask by Check instead") as refused:
        await stub.Watch(health_pb2.HealthCheckRequest(service="a")).read()
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await check(stub, "a") == NOT_SERVING
