"""Callers who take no answer: what they hold up, and how their calls end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from tests.server.calls import match, upsert
from tests.server.fake_encoder import FakeEncoder
from tests.soak import frames
from tests.soak.wire import WireConnection, connect
from twinshelf.server.access.scopes import METHOD_SCOPES, Scope
from twinshelf.server.config import ServerConfig
from twinshelf.server.serving import create_server
from twinshelf.v1.product_pb2 import Product

pytestmark = pytest.mark.slow
OPEN_METHODS = [method for method, scope in METHOD_SCOPES.items() if scope is Scope.OPEN]
WRITE, CHECK = "/twinshelf.v1.CatalogService/UpsertProducts", "/grpc.health.v1.Health/Check"


@asynccontextmanager
async def serving_at(config: ServerConfig, encoder: FakeEncoder) -> AsyncIterator[str]:
    """Serves while the block runs; gives the address."""
    server, port = await create_server(config, encoder)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop()


@asynccontextmanager
async def deaf_caller(address: str) -> AsyncIterator[WireConnection]:
    """A connection whose caller takes headers alone."""
    connection = await connect(address, window=0)
    await asyncio.sleep(0.1)  # the service agrees to the window
    yield connection
    connection.close()


@pytest.mark.parametrize("method", OPEN_METHODS)
async def test_strangers_who_take_no_answer_hold_up_no_other(
    config: ServerConfig, encoder: FakeEncoder, method: str
) -> None:
    bounded = dataclasses.replace(config, call_count=16, send_timeout_s=0.2)
    async with serving_at(bounded, encoder) as address, deaf_caller(address) as deaf:
        for _ in range(32):
            deaf.start(frames.header_block(method, address), frames.message(b""), lambda *_: None)
        await asyncio.sleep(0.5)
        async with grpc.aio.insecure_channel(address) as channel:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await upsert(channel, [])  # gRPC decided on it when the last of them came
            await upsert(channel, [Product(product_id="p", title="mug")])
            assert (await match(channel, title="mug")).matches


@pytest.mark.parametrize("method", [WRITE, CHECK])
async def test_who_reads_the_first_answer_too_late_hears_of_the_end(
    config: ServerConfig, encoder: FakeEncoder, method: str
) -> None:
    bounded = dataclasses.replace(config, send_timeout_s=0.2)
    ended = asyncio.get_running_loop().create_future()
    async with serving_at(bounded, encoder) as address, deaf_caller(address) as deaf:
        headers = frames.header_block(method, address)
        body = frames.message(b"")
        call = deaf.start(headers, body, lambda _, code: ended.set_result(code), ends=False)
        await asyncio.sleep(0.6)
        assert not ended.done()
        deaf.allow(call, 1 << 20)
        code = await asyncio.wait_for(ended, 5)
        assert code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
