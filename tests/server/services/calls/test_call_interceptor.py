"""What happens to every call before and after its method: reading, bounds, statuses, ends."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.server.calls import code_of, error_info, match, match_request, matching, serving, upsert
from tests.server.fake_encoder import FakeEncoder
from twinshelf.server.access.scopes import METHOD_SCOPES, Scope
from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.services.calls.byte_budget import ByteBudget
from twinshelf.server.services.calls.call_interceptor import CallInterceptor
from twinshelf.server.services.calls.call_observer import CallObserver
from twinshelf.server.services.calls.intake import Intake, IntakeConfig
from twinshelf.server.services.calls.streams import StreamBounds, answers_as_done
from twinshelf.server.serving import create_server
from twinshelf.server.telemetry.metrics import Metrics
from twinshelf.server.telemetry.tracing import Tracing
from twinshelf.v1 import matching_service_pb2 as pb
from twinshelf.v1.product_pb2 import Product

MATCH = "/twinshelf.v1.MatchingService/MatchProduct"
MATCH_MANY = "/twinshelf.v1.MatchingService/MatchProducts"
WATCH = "/twinshelf.v1.CatalogService/WatchChanges"
UPSERT = "/twinshelf.v1.CatalogService/UpsertProducts"
OPEN_METHODS = [method for method, scope in METHOD_SCOPES.items() if scope is Scope.OPEN]
UNKNOWN_FIELD = b"\xa2\x06"
GARBAGE = b"\xff\xff\xff\xff\x00garbage"


async def never() -> AsyncIterator[bytes]:
    """Sends nothing and does not end."""
    await asyncio.Event().wait()
    yield b""


def unary(channel: grpc.aio.Channel) -> grpc.aio.StreamUnaryMultiCallable[bytes, bytes]:
    """A method that takes raw bytes, one by one: any number of messages."""
    return channel.stream_unary(MATCH)


def stream(
    channel: grpc.aio.Channel, method: str = MATCH_MANY
) -> grpc.aio.StreamStreamMultiCallable[bytes, bytes]:
    return channel.stream_stream(method)


@pytest.mark.parametrize("name", ["MatchProduct", "GetProduct", "ListProducts", "DeleteProducts"])
async def test_bytes_that_are_no_message_are_an_invalid_argument(
    channel: grpc.aio.Channel, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    service = "MatchingService" if name == "MatchProduct" else "CatalogService"
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    call = channel.unary_unary(f"/twinshelf.v1.{service}/{name}")
    with pytest.raises(grpc.aio.AioRpcError, match="no protobuf message") as raised:
        await call(GARBAGE)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(raised.value).reason == "INVALID_REQUEST"
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("method", [MATCH_MANY, UPSERT])
async def test_bytes_that_are_no_message_end_a_stream_after_what_came_before(
    channel: grpc.aio.Channel, method: str
) -> None:
    call = stream(channel, method)(iter([b"", GARBAGE]))
    answers = []
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for answer in call:
            answers.append(answer)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert len(answers) == 1


async def test_a_call_without_a_message_is_an_invalid_argument(channel: grpc.aio.Channel) -> None:
    call = unary(channel)(iter(()))
    assert await code_of(call) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.slow
async def test_slow_messages_are_bounded_in_time_and_number_and_hold_up_no_other(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    bounded = dataclasses.replace(config, slow_message_count=2, message_timeout_s=2)
    async with serving(bounded, encoder) as channel:
        await upsert(channel, [Product(product_id="p", title="mug")])
        slow = [unary(channel)(never()) for _ in range(2)]
        await asyncio.sleep(0.2)
        refused = unary(channel)(never())
        assert await code_of(refused) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await match(channel, title="mug")).matches
        for call in slow:
            assert await code_of(call) is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.slow
@pytest.mark.parametrize("method", OPEN_METHODS)
async def test_strangers_who_send_no_message_hold_up_no_other(
    config: ServerConfig, encoder: FakeEncoder, method: str
) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.2)
        yield match_request(title="mug").SerializeToString()

    bounded = dataclasses.replace(config, slow_message_count=2, call_count=16)
    async with serving(bounded, encoder) as channel:
        await upsert(channel, [Product(product_id="p", title="mug")])
        silent = [stream(channel, method)(never()) for _ in range(16)]
        await asyncio.sleep(0.5)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await match(channel, title="mug")  # gRPC decided on it when the last of them came
        assert await unary(channel)(slowly())
        assert await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        codes = {await code_of(anext(aiter(call))) for call in silent}
        assert codes == {
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        }


@pytest.mark.parametrize("method", [WATCH, *OPEN_METHODS])
async def test_nothing_long_is_sent_by_strangers_or_held_while_they_watch(
    channel: grpc.aio.Channel, method: str
) -> None:
    call = stream(channel, method)(iter([UNKNOWN_FIELD + b"\x80\x80\x04" + bytes(65536)]))
    assert await code_of(anext(aiter(call))) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.slow
async def test_streams_are_bounded_in_number_and_idle_ones_end(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    bounded = dataclasses.replace(config, stream_count=2, stream_idle_timeout_s=0.5)
    async with serving(bounded, encoder) as channel:
        idle = [stream(channel)(never()) for _ in range(2)]
        await asyncio.sleep(0.2)
        refused = stream(channel)(never())
        assert await code_of(anext(aiter(refused))) is grpc.StatusCode.RESOURCE_EXHAUSTED
        for call in idle:
            assert await code_of(anext(aiter(call))) is grpc.StatusCode.DEADLINE_EXCEEDED
        await upsert(channel, [Product(product_id="p", title="mug")])


@pytest.mark.slow
async def test_a_stream_whose_caller_does_not_read_is_ended_and_holds_nothing(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    bounded = dataclasses.replace(config, send_timeout_s=0.3, stream_in_flight_count=4)
    async with serving(bounded, encoder) as channel:
        long = "x" * 60_000
        await upsert(
            channel,
            [Product(product_id=str(i), title=f"mug {i}", description=long) for i in range(40)],
        )
        request = pb.MatchProductsRequest(request=match_request(title="mug", match_count=40))
        # Raw bytes: the asyncio client reads a message only when it is asked for one.
        deaf = stream(channel)(iter([request.SerializeToString()] * 50), timeout=30)
        await asyncio.sleep(1.5)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async for _ in deaf:
                pass
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "read none of its answers" in (raised.value.details() or "")
        assert (await match(channel, title="mug 1")).matches


class Ending:
    """Something whose end can be seen."""


class Raw(bytes):
    """A message as it comes."""

    ending: Ending


async def test_a_quiet_stream_holds_nothing_of_what_it_has_answered() -> None:
    alive: weakref.WeakSet[Ending] = weakref.WeakSet()
    coming: asyncio.Queue[Raw] = asyncio.Queue()
    answered = asyncio.Queue[bytes]()

    def receive() -> None:
        raw = Raw(b"offer")
        raw.ending = Ending()
        alive.add(raw.ending)
        coming.put_nowait(raw)

    def parse(raw: bytes) -> Ending:
        message = Ending()
        alive.add(message)
        return message

    async def answer(position: int, request: Ending) -> bytes:
        return b"answer"

    def method(requests: AsyncIterator[Ending], context: object) -> AsyncIterator[bytes]:
        bounds = StreamBounds(
            in_flight_count=4, budget=ByteBudget(1000), limit_bytes=1000, rest_limit_bytes=1000
        )
        return answers_as_done(requests, answer, lambda _: 1, lambda *_: b"", bounds)

    context = Mock(spec=grpc.aio.ServicerContext)
    context.invocation_metadata.return_value = ()
    context.read = coming.get
    context.write = answered.put
    running = asyncio.ensure_future(stream_of(method, parse)(None, context))
    for _ in range(3):
        receive()
        assert await answered.get() == b"answer"
        assert len(alive) == 0
    running.cancel()


async def test_a_refused_message_of_a_stranger_is_held_no_longer() -> None:
    alive: weakref.WeakSet[Ending] = weakref.WeakSet()
    held_counts = []

    async def read() -> bytes:
        raw = Raw(65_537)
        raw.ending = Ending()
        alive.add(raw.ending)
        return raw

    async def abort(*_: object) -> None:
        held_counts.append(len(alive))
        raise grpc.aio.AbortError

    context = Mock(spec=grpc.aio.ServicerContext, read=read, abort=abort)
    call = called(grpc.unary_unary_rpc_method_handler(Mock()), "/grpc.health.v1.Health/Check")
    with pytest.raises(grpc.aio.AbortError):
        await call(None, context)
    assert held_counts == [0]


def stream_of(method: Any, parse: Callable[[bytes], Any]) -> Any:
    """Returns a method as it is called through an interceptor."""
    return called(grpc.stream_stream_rpc_method_handler(method, parse, bytes), MATCH_MANY)


def called(handler: Any, method: str) -> Any:
    """Returns a handler as it is called through an interceptor."""
    config = IntakeConfig(
        slow_message_limit=1,
        stream_limit=1,
        message_timeout_s=1,
        turn_timeout_s=1,
        stream_idle_timeout_s=60,
    )
    interceptor = CallInterceptor(
        intake=Intake(config),
        budget=ByteBudget(1000),
        doors={},
        check_caller=lambda: None,
        observer=CallObserver(metrics=Metrics(), tracing=Tracing(), slow_call_s=1.0),
        send_timeout_s=60,
        open_call_limit=1,
    )

    async def call(_: Any, context: Any) -> None:
        async def found(_: Any) -> Any:
            return handler

        details = Mock(method=method)
        wrapped: Any = await interceptor.intercept_service(found, details)
        await wrapped.stream_stream(None, context)

    return call


@pytest.mark.slow
async def test_a_stop_ends_idle_streams_at_once_and_answers_what_was_sent(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    may_end = asyncio.Event()

    async def gate(inputs: list[EncoderInput]) -> None:
        await may_end.wait()

    server, port = await create_server(config, encoder)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await upsert(channel, [Product(product_id="p", title="mug")])
        encoder.gate = gate

        async def one_and_no_end() -> AsyncIterator[pb.MatchProductsRequest]:
            yield pb.MatchProductsRequest(request=match_request(title="mug"))
            await asyncio.Event().wait()

        call = matching(channel).MatchProducts(one_and_no_end())
        answer = asyncio.ensure_future(anext(aiter(call)))
        await asyncio.sleep(0.2)
        stopping = asyncio.ensure_future(server.stop())
        await asyncio.sleep(0.1)
        may_end.set()
        assert (await answer).response.matches
        assert await code_of(anext(aiter(call))) is grpc.StatusCode.UNAVAILABLE
        async with asyncio.timeout(config.drain_timeout_s / 2):
            await stopping


async def test_more_bytes_than_may_be_held_are_refused_until_others_are_answered(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    may_end, sent = asyncio.Event(), asyncio.Event()

    async def gate(inputs: list[EncoderInput]) -> None:
        sent.set()
        await may_end.wait()

    bounded = dataclasses.replace(
        config, held_limit_bytes=1024 * 1024, image_limit_bytes=1024 * 1024
    )
    async with serving(bounded, encoder) as channel:
        await upsert(channel, [Product(product_id="p", title="mug")])
        encoder.gate = gate
        first = asyncio.ensure_future(match(channel, image=b"a" * 400_000))
        await sent.wait()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await match(channel, image=b"b" * 400_000)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error_info(raised.value).reason == "TOO_MANY_BYTES"
        small = asyncio.ensure_future(match(channel, image=b"small"))
        may_end.set()
        await asyncio.gather(first, small)
        await match(channel, image=b"b" * 400_000)


async def test_the_request_id_of_the_caller_comes_back_with_an_error(
    channel: grpc.aio.Channel,
) -> None:
    call = matching(channel).MatchProduct(
        match_request(match_count=0, title="mug"), metadata=(("x-request-id", "mine"),)
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert b"mine" in dict(raised.value.trailing_metadata())["grpc-status-details-bin"]


@pytest.mark.slow
async def test_a_long_answer_is_cut_to_pages_that_hold_every_match_once(
    channel: grpc.aio.Channel,
) -> None:
    long = "x" * 60_000
    products = [
        Product(product_id=f"p{i:03}", title=f"mug {i}", description=long) for i in range(100)
    ]
    for some in itertools.batched(products, 20) if hasattr(itertools, "batched") else [products]:
        await upsert(channel, some)
    request = match_request(title="mug", match_count=90)
    found: list[str] = []
    sizes = []
    while True:
        answer = await matching(channel).MatchProduct(request)
        found += [each.product.product_id for each in answer.matches]
        sizes.append(answer.ByteSize())
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
        # The best matches of another offer would be passed over.
        other = match_request(title="cup", match_count=90, page_token=request.page_token)
        refused = matching(channel).MatchProduct(other)
        assert await code_of(refused) is grpc.StatusCode.INVALID_ARGUMENT
    assert len(sizes) > 2
    assert max(sizes) < 2.2 * 1024 * 1024
    assert len(found) == len(set(found)) == 90


@pytest.mark.parametrize("token", ["nonsense", "YWZ0ZXI6", "YWZ0ZXI6LTE=", "YWZ0ZXI6OTk5OTk5",
    "YWZ0ZXI6MDAwMDAwMDA1OTk5OTk5"])  # fmt: skip
async def test_a_page_token_of_no_answer_is_refused(channel: grpc.aio.Channel, token: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="page_token must be") as raised:
        await match(channel, title="mug", page_token=token)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
