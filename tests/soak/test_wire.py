"""The frame-level client against a real gRPC server: answers, refusals, cancels, many calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from tests.soak import frames, load
from tests.soak.wire import connect

ECHO = "/test.Echo/Say"


class Echo(grpc.GenericRpcHandler):
    """Sends back what it is sent; refuses "no", never answers "wait"."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return grpc.unary_unary_rpc_method_handler(self._say) if details.method == ECHO else None

    async def _say(self, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        if request == b"no":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
        if request == b"wait":
            await asyncio.sleep(30)
        return request


@pytest_asyncio.fixture
async def address() -> AsyncIterator[str]:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


async def test_the_status_of_each_call_comes_back(address: str) -> None:
    connection = await connect(address)
    headers = frames.header_block(ECHO, address, timeout_ms=5000)
    for body, code in ((b"yes", 0), (b"no", 3), (b"x" * 3_000_000, 0), (b"", 0)):
        assert await load.ask(connection, headers, frames.message(body), 10) == code
    unknown = frames.header_block("/test.Echo/Other", address)
    assert await load.ask(connection, unknown, frames.message(b""), 10) == 12
    connection.close()


async def test_calls_side_by_side_are_all_answered(address: str) -> None:
    connection = await connect(address)
    headers = frames.header_block(ECHO, address)
    body = frames.message(b"y" * 40_000)
    codes = await asyncio.gather(*(load.ask(connection, headers, body, 20) for _ in range(200)))
    assert codes == [0] * 200
    assert connection.call_count == 0
    connection.close()


@pytest.mark.slow
async def test_a_cancelled_call_ends_and_others_go_on(address: str) -> None:
    connection = await connect(address)
    headers = frames.header_block(ECHO, address)
    assert await load.ask(connection, headers, frames.message(b"wait"), 0.2) == 4
    assert await load.ask(connection, headers, frames.message(b"yes"), 10) == 0
    connection.close()


async def test_the_service_hears_of_the_deadline(address: str) -> None:
    connection = await connect(address)
    headers = frames.header_block(ECHO, address, timeout_ms=100)
    assert await load.ask(connection, headers, frames.message(b"wait"), 10) == 4
    connection.close()


async def test_a_lost_connection_ends_its_calls(address: str) -> None:
    connection = await connect(address)
    headers = frames.header_block(ECHO, address)
    asking = asyncio.ensure_future(load.ask(connection, headers, frames.message(b"wait"), 10))
    await asyncio.sleep(0.1)
    connection.close()
    assert await asking == 14
