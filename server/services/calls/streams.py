"""Answering the messages of a stream at once instead of one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.services.calls.byte_budget import ByteBudget

Request = TypeVar("Request")
Answer = TypeVar("Answer")
# One stream that is not read must leave memory for the others.
_SHARE_OF_A_STREAM: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBounds:
    """What one stream may have under way.

    Attributes:
        in_flight_count: Most requests that are read and not yet answered.
        budget: Bytes that all streams share.
        limit_bytes: The size of that budget.
        rest_limit_bytes: Most bytes of a request beside its photos.
    """

    in_flight_count: int
    budget: ByteBudget
    limit_bytes: int
    rest_limit_bytes: int

    def message_bytes(self, message: Message, photos: Callable[[], Sequence[bytes]]) -> int:
        """Returns the size of a request: what it may take when its answer is small.

        Args:
            message: The request.
            photos: Copies those in it.

        Raises:
            InvalidRequestError: If all else in it is too long. A megabyte of empty parts takes
                twenty once it is read: such must not wait for their turn.
        """
        size_bytes = int(message.ByteSize())
        if size_bytes <= self.rest_limit_bytes:
            return size_bytes
        if (rest_bytes := size_bytes - sum(map(len, photos()))) > self.rest_limit_bytes:
            raise InvalidRequestError(
                f"a request may have {self.rest_limit_bytes} bytes beside its photos, "
                f"got {rest_bytes}",
                field="",
            )
        return size_bytes


async def answers_as_done(
    requests: AsyncIterator[Request],
    answer: Callable[[int, Request], Awaitable[Answer]],
    size_bytes: Callable[[Request], int],
    refuse: Callable[[int, Request, InvalidRequestError], Answer],
    bounds: StreamBounds,
) -> AsyncIterator[Answer]:
    """Yields the answers of a stream in the order in which they are done.

    A request counts as in flight from when it is read until its answer is taken, so that neither a
    fast sender nor a slow reader fills the memory. Requests are started in the order of the stream.

    Args:
        requests: The stream.
        answer: Answers one request, given its position from 0; an error it raises ends the stream.
        size_bytes: What a request and its answer may take; an `InvalidRequestError` that it raises
            is the end of the request alone.
        refuse: Makes the answer of such a request, given its position and the error.
        bounds: What may be in flight.
    """
    places = asyncio.Semaphore(bounds.in_flight_count)
    share = ByteBudget(bounds.limit_bytes // _SHARE_OF_A_STREAM)
    done: asyncio.Queue[asyncio.Future[Answer] | None] = asyncio.Queue()
    running: dict[asyncio.Future[Answer], int] = {}

    async def read() -> None:
        """Starts each request at once, but reads the next only when there is room for it."""
        position = 0
        await places.acquire()
        async for request in requests:
            try:
                size = size_bytes(request)
            except InvalidRequestError as error:  # here and now: nothing of it is kept
                size, task = 0, _finished(refuse(position, request, error))
            else:
                await share.wait_for(size)
                await bounds.budget.wait_for(size)
                task = asyncio.ensure_future(answer(position, request))
            running[task] = size
            task.add_done_callback(done.put_nowait)
            del request, task  # else held until the next one comes
            position += 1
            await places.acquire()

    reader = asyncio.ensure_future(read())
    reader.add_done_callback(lambda _: done.put_nowait(None))
    try:
        while running or not reader.done() or not done.empty():
            task = await done.get()
            if task is None:
                continue  # what was sent before the stream broke off is answered all the same
            yield task.result()
            size = running.pop(task)
            share.give_back(size)
            bounds.budget.give_back(size)
            places.release()
        await reader  # raises what ended the reading
    finally:
        await _cancel(reader, *running)
        bounds.budget.give_back(sum(running.values()))


def _finished(answer: Answer) -> asyncio.Future[Answer]:
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    future.set_result(answer)
    return future


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
