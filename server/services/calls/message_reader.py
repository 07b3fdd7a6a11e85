"""Reading single messages: who may be large in turn, and few slow ones at a time.

gRPC tells how large a message is by handing it over whole: one of several megabytes is copied three
times and keeps the loop for a hundredth of a second, refused or not. What nobody has begun to read
waits at its sender. So a connection is judged by what came over it before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
from cachetools import LRUCache

from twinshelf.server.errors import InvalidRequestError, SlowMessageError, TooManyBytesError

# What gRPC takes of a message that nobody reads; a shorter one costs little to read.
UNREAD_BYTES: Final = 512 * 1024
# Short messages that a connection must send after a large one, until it waits for no turn.
_PROBATION_COUNT: Final = 16
_NEWCOMER_TURNS: Final = 2
_LARGE_TURNS: Final = 1
# More connections than are open as a rule; one that is forgotten is a newcomer again.
_KNOWN_COUNT: Final = 4096
# Whatever arrives within it is no burden: a text, or a photo over a good line. Waited for in turns
# of the loop: one that was held up takes its timers before it looks at what has arrived meanwhile,
# and would find all senders slow.
_PROMPT_S: Final = 0.05
_PROMPT_LOOKS: Final = 5


class MessageReader:
    """Messages that are being read, over all calls of one kind. Belongs to one event loop."""

    def __init__(self, *, slow_limit: int, timeout_s: float, turn_timeout_s: float) -> None:
        """Takes the bounds.

        Args:
            slow_limit: Most messages at once that take more than a moment.
            timeout_s: Longest time for one message.
            turn_timeout_s: Longest time that the only message of a call may wait for its turn.
        """
        self._slow_limit, self._slow_count = slow_limit, 0
        self._timeout_s, self._turn_timeout_s = timeout_s, turn_timeout_s
        # Short messages since the last large one, less the probation: above 0 is read at once.
        self._standing: LRUCache[str, int] = LRUCache(_KNOWN_COUNT)
        # Apart: who sends large messages keeps no newcomer out.
        self._newcomers = asyncio.Semaphore(_NEWCOMER_TURNS)
        self._large_senders = asyncio.Semaphore(_LARGE_TURNS)

    async def read(self, context: grpc.aio.ServicerContext) -> bytes:
        """Returns the only message of a call.

        Raises:
            InvalidRequestError: If the call ends without a message.
            TooManyBytesError: If it is slow or may be large, and many others are.
            SlowMessageError: If it takes too long.
        """
        try:
            reading = await self.begin(context, turn_timeout_s=self._turn_timeout_s)
        except TimeoutError:
            raise TooManyBytesError(
                "large messages of other callers are read first; repeat the request later",
                retry_after_s=0.5,
            ) from None
        try:
            if not reading.done():
                await self._wait_for_slow(reading)
            raw = reading.result()
        finally:
            reading.cancel()
        if not isinstance(raw, bytes):
            raise InvalidRequestError("the call ended without a message", field="")
        return raw

    async def begin(
        self, context: grpc.aio.ServicerContext, *, turn_timeout_s: float | None
    ) -> asyncio.Future[Any]:
        """Returns the next message of a call, which is there by then or is slow.

        Args:
            context: That of the call.
            turn_timeout_s: Longest wait for the turn; None waits for as long as it takes.

        Raises:
            TimeoutError: If the turn did not come.
        """
        peer = context.peer()
        async with self._turn(peer, turn_timeout_s):
            reading = asyncio.ensure_future(context.read())
            reading.add_done_callback(lambda read: self._judge(peer, read))
            try:
                for _ in range(_PROMPT_LOOKS):
                    if await _is_done(reading, _PROMPT_S / _PROMPT_LOOKS):
                        break
            except asyncio.CancelledError:
                reading.cancel()
                raise
        return reading

    @asynccontextmanager
    async def _turn(self, peer: str, timeout_s: float | None) -> AsyncIterator[None]:
        standing = self._standing.get(peer, 0)
        if standing > 0:
            yield
            return
        turns = self._large_senders if standing < 0 else self._newcomers
        async with asyncio.timeout(timeout_s):
            await turns.acquire()
        try:
            yield
        finally:
            turns.release()

    def _judge(self, peer: str, read: asyncio.Future[Any]) -> None:
        # What broke off tells nothing: callers whose deadline passes leave in the middle, too.
        if read.cancelled() or read.exception() is not None:
            return
        if isinstance(raw := read.result(), bytes) and len(raw) > UNREAD_BYTES:
            self._standing[peer] = -_PROBATION_COUNT
        elif (standing := self._standing.get(peer, 0)) <= 0:
            self._standing[peer] = standing + 1

    async def _wait_for_slow(self, reading: asyncio.Future[Any]) -> None:
        if self._slow_count >= self._slow_limit:
            raise TooManyBytesError(
                f"{self._slow_count} large or slow messages are being read already; "
                "repeat the request later",
                retry_after_s=0.5,
            )
        self._slow_count += 1
        try:
            if not await _is_done(reading, self._timeout_s):
                raise SlowMessageError(
                    f"the message of the request did not arrive within {self._timeout_s:g} s"
                )
        finally:
            self._slow_count -= 1


async def _is_done(reading: asyncio.Future[Any], timeout_s: float) -> bool:
    await asyncio.wait({reading}, timeout=timeout_s)
    return reading.done()
