"""Answering a stream: order, bounds, errors and being left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.services.streams import answers_as_done


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

    got = [each async for each in answers_as_done(numbers(50), answer, in_flight_count)]
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

    answers = answers_as_done(requests(), answer, 4)
    taken = 0
    async for _ in answers:
        taken += 1
        for _ in range(20):
            await asyncio.sleep(0)
        assert read <= taken + 4


async def test_an_empty_stream_ends() -> None:
    async def answer(position: int, request: int) -> int:
        return request

    assert [each async for each in answers_as_done(numbers(0), answer, 4)] == []


async def test_an_error_of_the_stream_ends_it_after_cancelling_the_rest() -> None:
    cancelled = asyncio.Event()

    async def requests() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(0)
        raise ConnectionError("gone")

    async def answer(position: int, request: int) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return request

    with pytest.raises(ConnectionError):
        async for _ in answers_as_done(requests(), answer, 4):
            pass
    assert cancelled.is_set()


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

    answers = answers_as_done(numbers(3), answer, 3)
    assert await anext(answers) == 0
    await asyncio.sleep(0)
    await answers.aclose()
    assert cancelled == 2
