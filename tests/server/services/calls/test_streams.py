"""Answering a stream: order, bounds, errors and being left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace

import pytest

from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.services.calls.byte_budget import ByteBudget
from twinshelf.server.services.calls.streams import StreamBounds, answers_as_done
from twinshelf.v1.product_pb2 import Product

LIMIT_BYTES = 16_000


def bounds(in_flight_count: int, budget: ByteBudget | None = None) -> StreamBounds:
    return StreamBounds(
        in_flight_count=in_flight_count,
        budget=budget or ByteBudget(LIMIT_BYTES),
        limit_bytes=LIMIT_BYTES,
        rest_limit_bytes=LIMIT_BYTES,
    )


def one_byte(request: int) -> int:
    return 1


def refuse(position: int, request: int, error: InvalidRequestError) -> int:
    return -1


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


@pytest.mark.parametrize("in_flight_count", [1, 3, 100])
async def test_every_request_is_answered_once(in_flight_count: int) -> None:
    async def answer(position: int, request: int) -> int:
        for _ in range(request * 7 % 5):
            await asyncio.sleep(0)
        assert position == request
        return request

    got = [
        each
        async for each in answers_as_done(
            numbers(50), answer, one_byte, refuse, bounds(in_flight_count)
        )
    ]
    assert sorted(got) == list(range(50))
    if in_flight_count == 1:
        assert got == list(range(50))


async def test_a_slow_reader_holds_back_the_stream() -> None:
    read = 0

    async def requests() -> AsyncIterator[int]:
        nonlocal read
        for number in range(100):
            read += 1
            yield number

    async def answer(position: int, request: int) -> int:
        return request

    answers = answers_as_done(requests(), answer, one_byte, refuse, bounds(4))
    taken = 0
    async for _ in answers:
        taken += 1
        for _ in range(20):
            await asyncio.sleep(0)
        assert read <= taken + 4


async def test_an_empty_stream_ends() -> None:
    async def answer(position: int, request: int) -> int:
        return request

    assert [
        each async for each in answers_as_done(numbers(0), answer, one_byte, refuse, bounds(4))
    ] == []


async def test_what_was_sent_before_the_stream_broke_off_is_answered_all_the_same() -> None:
    async def requests() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(0)
        raise ConnectionError("gone")

    async def answer(position: int, request: int) -> int:
        await asyncio.sleep(0.01)
        return request

    got = []
    with pytest.raises(ConnectionError):
        async for each in answers_as_done(requests(), answer, one_byte, refuse, bounds(4)):
            got.append(each)
    assert got == [1]


async def test_a_stream_holds_no_more_than_its_share_until_its_answers_are_read() -> None:
    budget = ByteBudget(LIMIT_BYTES)

    async def answer(position: int, request: int) -> int:
        return request

    answers = answers_as_done(numbers(100), answer, lambda _: 300, refuse, bounds(100, budget))
    assert await anext(answers) == 0
    for _ in range(50):
        await asyncio.sleep(0)
    assert budget.held_bytes == 900  # of a share of 1,000
    assert [each async for each in answers] == list(range(1, 100))
    assert budget.held_bytes == 0


async def test_what_is_refused_at_once_waits_for_nobody() -> None:
    budget = ByteBudget(LIMIT_BYTES)
    budget.take(LIMIT_BYTES)
    others = asyncio.ensure_future(budget.wait_for(1))

    def size_bytes(request: int) -> int:
        if request == 0:
            raise InvalidRequestError("too long", field="")
        return 1

    async def answer(position: int, request: int) -> int:
        return request

    answers = answers_as_done(numbers(2), answer, size_bytes, refuse, bounds(4, budget))
    assert await asyncio.wait_for(anext(answers), 1) == -1
    waiting = asyncio.ensure_future(anext(answers))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    budget.give_back(LIMIT_BYTES)
    assert await waiting == 1
    await others


@pytest.mark.parametrize(
    ("rest", "photo", "is_taken"),
    [(80, 0, True), (80, 900, True), (101, 0, False), (101, 900, False)],
)
def test_a_request_has_a_limit_beside_its_photos(rest: int, photo: int, is_taken: bool) -> None:
    limits = replace(bounds(1), rest_limit_bytes=100)
    product = Product(title="x" * (rest - 2), image=b"x" * photo)

    def size() -> int:
        return limits.message_bytes(product, lambda: [product.image])

    if is_taken:
        assert size() == product.ByteSize()
    else:
        with pytest.raises(InvalidRequestError, match="100 bytes beside its photos, got"):
            size()


async def test_what_a_broken_stream_held_is_given_back() -> None:
    budget = ByteBudget(LIMIT_BYTES)

    async def answer(position: int, request: int) -> int:
        if request == 1:
            raise ConnectionError("gone")
        return request

    with pytest.raises(ConnectionError):
        async for _ in answers_as_done(
            numbers(5), answer, lambda _: 100, refuse, bounds(3, budget)
        ):
            pass
    assert budget.held_bytes == 0


async def test_a_consumer_that_leaves_cancels_what_runs() -> None:
    cancelled = 0

    async def answer(position: int, request: int) -> int:
        nonlocal cancelled
        if request == 0:
            return request
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return request

    answers = answers_as_done(numbers(3), answer, one_byte, refuse, bounds(3))
    assert await anext(answers) == 0
    await asyncio.sleep(0)
    assert isinstance(answers, AsyncGenerator)
    await answers.aclose()
    assert cancelled == 2
