"""Two matching servers on one Milvus: what one writes the other finds, also after Milvus died."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from google.rpc import code_pb2

from tests.milvus.local_server import LocalServer
from tests.server.calls import error_info, match, serving, upsert
from tests.server.fake_encoder import FakeEncoder
from twinshelf.server.config import ServerConfig
from twinshelf.v1 import product_pb2

pytestmark = pytest.mark.milvus
# Others' writes are seen when `Bounded` reads come so far, and counted after a look.
SEEN_WITHIN_S = 10.0


@pytest.fixture
async def channels(milvus_place: str) -> AsyncIterator[tuple[grpc.aio.Channel, grpc.aio.Channel]]:
    """Channels to two servers that share a catalogue."""
    config = ServerConfig(
        address="127.0.0.1:0",
        catalogue=Path(milvus_place),
        metrics_address="",
        canary_interval_s=60,
        watch_interval_s=0.05,
        drain_timeout_s=5,
    )
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(serving(config, FakeEncoder()))
        second = await stack.enter_async_context(serving(config, FakeEncoder()))
        yield first, second


async def best(channel: grpc.aio.Channel, title: str) -> str:
    """Returns the product that a server finds for a title; empty while none can be."""
    try:
        answer = await match(channel, title=title)
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE, error
        return ""
    return answer.matches[0].product.product_id if answer.matches else ""


async def wait_for(
    channel: grpc.aio.Channel, title: str, product_id: str, timeout_s: float
) -> None:
    async with asyncio.timeout(timeout_s):
        while await best(channel, title) != product_id:
            await asyncio.sleep(0.1)


async def test_what_one_server_writes_the_other_finds(
    channels: tuple[grpc.aio.Channel, grpc.aio.Channel],
) -> None:
    first, second = channels
    await wait_until_ready(first)
    await wait_until_ready(second)
    await upsert(first, [product_pb2.Product(product_id="a", title="red shoe")])
    assert await best(first, "red shoe") == "a"
    await wait_for(second, "red shoe", "a", SEEN_WITHIN_S)
    await upsert(second, [product_pb2.Product(product_id="a", title="blue hat")])
    assert await best(second, "blue hat") == "a"
    await wait_for(first, "blue hat", "a", SEEN_WITHIN_S)


async def test_no_acknowledged_write_is_lost_when_milvus_is_killed_under_load(
    channels: tuple[grpc.aio.Channel, grpc.aio.Channel], local_milvus: LocalServer
) -> None:
    await asyncio.gather(*map(wait_until_ready, channels))
    acknowledged: dict[str, str] = {}
    codes: set[str] = set()
    is_over = False

    async def write(channel: grpc.aio.Channel, prefix: str) -> None:
        number = 0
        while not is_over:
            products = [
                product_pb2.Product(product_id=f"{prefix}{n}", title=f"{prefix} title {n}")
                for n in range(number, number + 8)
            ]
            number += 8
            try:
                answers = await upsert(channel, products)
            except grpc.aio.AioRpcError as error:
                codes.add(error.code().name)
                await asyncio.sleep(0.2)
                continue
            for product, answer in zip(products, answers, strict=True):
                if answer.HasField("error"):
                    codes.add(code_pb2.Code.Name(answer.error.code))
                else:
                    acknowledged[product.product_id] = product.title

    writing = [asyncio.ensure_future(write(c, p)) for c, p in zip(channels, "xy", strict=True)]
    await asyncio.sleep(3)
    await asyncio.to_thread(local_milvus.kill)
    await asyncio.sleep(1)
    before_count = len(acknowledged)
    # By this thread: what is tied to its parent ends with the thread that started it.
    local_milvus.start()
    async with asyncio.timeout(60):
        while len(acknowledged) < before_count + 16:
            await asyncio.sleep(0.2)
    is_over = True
    await asyncio.gather(*writing)
    assert before_count
    assert codes <= {"UNAVAILABLE"}
    for product_id, title in acknowledged.items():
        await wait_for(channels[1], title, product_id, SEEN_WITHIN_S)


async def wait_until_ready(channel: grpc.aio.Channel) -> None:
    """Waits until a server has opened its index."""
    async with asyncio.timeout(30):
        while True:
            try:
                await match(channel, title="anything")
                return
            except grpc.aio.AioRpcError as error:
                assert error_info(error).reason == "ENCODER_UNAVAILABLE"
                await asyncio.sleep(0.1)
