"""Answering the messages of a stream at once instead of one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


async def answers_as_done(
    requests: AsyncIterator[Request],
    answer: Callable[[int, Request], Awaitable[Answer]],
    in_flight_count: int,
) -> AsyncIterator[Answer]:
    """Yields the answers of a stream in the order in which they are done.

    A request counts as in flight from when it is read until its answer is taken, so that neither a
    fast sender nor a slow reader fills the memory. Requests are started in the order of the stream.

    Args:
        requests: The stream.
        answer: Answers one request, given its position from 0; an error it raises ends the stream.
        in_flight_count: Most requests in flight.
    """
    places = asyncio.Semaphore(in_flight_count)
    done: asyncio.Queue[asyncio.Task[Answer] | None] = asyncio.Queue()
    running: set[asyncio.Task[Answer]] = set()

    async def read() -> None:
        """Starts each request at once, but reads the next only when a place is free for it."""
        position = 0
        await places.acquire()
        async for request in requests:
            task = asyncio.ensure_future(answer(position, request))
            running.add(task)
            task.add_done_callback(done.put_nowait)
            position += 1
            await places.acquire()

    reader = asyncio.ensure_future(read())
    reader.add_done_callback(lambda _: done.put_nowait(None))
    try:
        while running or not reader.done() or not done.empty():
            task = await done.get()
            if task is None:
                await reader  # raises what ended the reading
                continue
            running.discard(task)
            yield task.result()
            places.release()
    finally:
        reader.cancel()
        for task in running:
            task.cancel()
        await asyncio.gather(reader, *running, return_exceptions=True)
