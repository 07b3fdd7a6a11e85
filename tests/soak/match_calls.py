"""Good and broken offers to a matching service, one by one and in streams."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc

from tests.soak.broken_offers import broken_offers, match_request, stream_request
from tests.soak.load import CODE_NAMES, MATCH
from tests.soak.offers import KINDS, read_products
from tests.soak.tally import Tally
from twinshelf.v1 import matching_service_pb2

MATCH_STREAM: Final = "/twinshelf.v1.MatchingService/MatchProducts"
PATIENCE_S, AGAIN_S = 20.0, 0.2
STREAM_LENGTH: Final = 64
TOLERANCE: Final = 1e-5
REFUSED: Final = "INVALID_ARGUMENT"
LOST_CODES: Final = ("DEADLINE_EXCEEDED", "UNAVAILABLE", "CANCELLED")
SHED: Final = "RESOURCE_EXHAUSTED"
CHANNEL_OPTIONS: Final = [("grpc.max_receive_message_length", -1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best match of an offer."""

    product_id: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchCall:
    """A serialised MatchProductRequest and what may come of it.

    Attributes:
        way: How it is broken; empty when it is good.
        body: The request.
        may_be_answered: Whether an answer is right too, although it is broken.
        is_message: Whether it can be a protobuf message; else it ends a whole stream.
        expected: The best match that it gets alone; None when unknown.
    """

    way: str
    body: bytes
    may_be_answered: bool = False
    is_message: bool = True
    expected: Best | None = None


async def draw(
    address: str, count: int, *, offer_count: int = 24, seed: int = 0
) -> list[MatchCall]:
    """Returns requests, half of them broken; the good ones with the answers they get alone."""
    chance = random.Random(seed)
    products = read_products("queries", offer_count)
    bodies = [
        match_request(
            product.image if kind != "texts" else b"",
            product.title.encode() if kind != "photos" else b"",
        )
        for product in products
        for kind in KINDS
    ]
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(MATCH)
        good = [
            MatchCall(way="", body=body, expected=_best(await method(body, timeout=PATIENCE_S)))
            for body in bodies
        ]
    broken = [
        MatchCall(
            way=offer.way,
            body=match_request(offer.image, offer.text),
            may_be_answered=offer.may_be_answered,
            is_message=offer.is_message,
        )
        for offer in broken_offers(seed)
    ]
    return [chance.choice(broken if number % 2 else good) for number in range(count)]


async def run_unary(address: str, calls: Sequence[MatchCall], concurrency: int) -> Tally:
    """Sends requests one by one from several callers; stops at the first that hangs."""
    tally = Tally()
    left: Iterator[MatchCall] = iter(calls)

    async def caller() -> None:
        async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
            method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(MATCH)
            while not tally.lost_count and (call := next(left, None)) is not None:
                start_s = time.monotonic()
                try:
                    answer = await method(call.body, timeout=PATIENCE_S)
                    _judge(call, "OK", _best(answer), tally)
                except grpc.aio.AioRpcError as error:
                    _judge(call, error.code().name, None, tally, error.details() or "")
                tally.took(time.monotonic() - start_s)

    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return tally


async def run_streams(address: str, calls: Sequence[MatchCall], concurrency: int) -> Tally:
    """Sends requests in streams of 64 side by side; stops at the first that hangs."""
    tally = Tally()
    whole = [call for call in calls if call.is_message]
    streams = iter(_cut(whole))

    async def caller() -> None:
        async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
            while not tally.lost_count and (part := next(streams, None)) is not None:
                end_s = time.monotonic() + PATIENCE_S
                # A service has as many streams as it takes; the others come again.
                while not await _stream(channel, part, tally):
                    if time.monotonic() > end_s:
                        tally.shed(len(part))
                        break
                    await asyncio.sleep(AGAIN_S)

    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return tally


async def _stream(channel: grpc.aio.Channel, calls: Sequence[MatchCall], tally: Tally) -> bool:
    """Sends requests in one stream; returns whether it was let in."""

    async def requests() -> Any:
        for number, call in enumerate(calls):
            yield stream_request(str(number), call.body)

    start_s = time.monotonic()
    owed = dict(enumerate(calls))
    timeout_s = PATIENCE_S + len(calls) * 0.5
    try:
        stream: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
        stream = channel.stream_stream(MATCH_STREAM)
        async for answer in stream(requests(), timeout=timeout_s):
            message = matching_service_pb2.MatchProductsResponse.FromString(answer)
            call = owed.pop(int(message.request_id))
            if message.HasField("error"):
                code = CODE_NAMES[message.error.code]
                _judge(call, code, None, tally, message.error.message)
            else:
                _judge(call, "OK", _best_of(message.response), tally)
    except grpc.aio.AioRpcError as error:
        if len(owed) == len(calls) and _is_not_let_in(error):
            return False
        tally.lose(f"stream: {error.code().name} {error.details()}; {len(owed)} unanswered")
    else:
        if owed:
            tally.lose(f"stream: {len(owed)} of {len(calls)} unanswered at its end")
    tally.took(time.monotonic() - start_s)
    return True


def _is_not_let_in(error: grpc.aio.AioRpcError) -> bool:
    """Tells whether the service has as many streams as it takes.

    When that is answered while a request is being written, grpc.aio says this instead.
    """
    return error.code().name == SHED or error.details() == "Internal error from Core"


def _judge(call: MatchCall, code: str, best: Best | None, tally: Tally, details: str = "") -> None:
    where = call.way or "good"
    if code in LOST_CODES:
        tally.lose(f"{where}: {code}: {details}")
    elif code == SHED:
        tally.shed()
    elif call.expected is not None:
        if best is None:
            tally.wrong(f"{where}: {code}: {details}")
        elif best.product_id == call.expected.product_id and (
            abs(best.score - call.expected.score) <= TOLERANCE
        ):
            tally.good()
        else:
            tally.wrong(f"{where}: {best} instead of {call.expected}")
    elif code == "OK" and call.may_be_answered:
        tally.odd()
    elif code == REFUSED:
        tally.refuse(code)
    else:
        tally.wrong(f"{where}: {code}: {details}")


def _best(answer: bytes) -> Best:
    return _best_of(matching_service_pb2.MatchProductResponse.FromString(answer))


def _best_of(response: matching_service_pb2.MatchProductResponse) -> Best:
    if not response.matches:
        return Best(product_id="", score=0.0)
    first = response.matches[0]
    return Best(product_id=first.product.product_id, score=first.score)


def _cut(calls: Sequence[MatchCall]) -> list[Sequence[MatchCall]]:
    return [calls[n : n + STREAM_LENGTH] for n in range(0, len(calls), STREAM_LENGTH)]
