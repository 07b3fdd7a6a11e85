"""Reading single messages: who may be large in turn, and few slow ones at a time.

gRPC tells how large a message is by handing it over whole: one of several megabytes is copied three
times and keeps the loop for a hundredth of a second, refused or not. What nobody has begun to read
waits at its sender. So a connection is judged by what came over it before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc
from cachetools import LRUCache

from twinshelf.server.errors import InvalidRequestError, SlowMessageError, TooManyBytesError
from twinshelf.server.telemetry.request_context import peer as known_peer

# What gRPC takes of a message that nobody reads; a shorter one costs little to read.
UNREAD_BYTES: Final = 512 * 1024
# Short messages that a connection must send after a large one, until it waits for no turn.
_PROBATION_COUNT: Final = 16
_NEWCOMER_TURNS: Final = 2
_LARGE_TURNS: Final = 1
_FAR_TURNS: Final = 2
# Less is a line that is slow, not a service that has much to do: 2 MB take .12 s.
_NEAR_BYTES_PER_S: Final = 16e6
# More connections than are open as a rule; one that is forgotten is a newcomer again.
_KNOWN_COUNT: Final = 4096
# Whatever arrives within these is no burden: a text, or a photo over a good line. More than one
# look: a loop that was held up takes its timers before it looks at what has arrived meanwhile, and
# would find all senders slow.
_LOOK_S: Final = 0.01
_PROMPT_LOOKS: Final = 5
# A busy service needs longer for 12 MiB, and who goes on beside the next holds all others up.
_LARGE_LOOKS: Final = 20


@dataclass(slots=True)
class _Sender:
    """What came over a connection before.

    Attributes:
        standing: Short messages since the last large one, less the probation; above 0 is read at
            once.
        is_far: Whether the last large one came slowly.
    """

    standing: int = 0
    is_far: bool = False


class _Turns:
    """Turns of one kind of senders, each until the message is there, or for a few looks at it.

    Turns in which none comes make the next ones shorter, so that many who send nothing, or are far
    away, keep nobody out. A large message that comes quickly makes them long again.
    """

    def __init__(self, count: int | None, look_count: int = _PROMPT_LOOKS) -> None:
        """Takes how many there are at once, None for no bound, and the looks in each at most."""
        self._places = asyncio.Semaphore(count) if count else None
        self._longest = self.look_count = look_count

    def shorten(self) -> None:
        self.look_count = max(1, self.look_count - 1)

    def lengthen(self) -> None:
        self.look_count = self._longest

    @asynccontextmanager
    async def one(self, timeout_s: float | None) -> AsyncIterator[None]:
        if self._places is None:
            yield
            return
        async with asyncio.timeout(timeout_s):
            await self._places.acquire()
        try:
            yield
        finally:
            self._places.release()


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
        self._senders: LRUCache[str, _Sender] = LRUCache(_KNOWN_COUNT)
        # Apart: who sends large messages keeps no newcomer out, and who sends them slowly, nobody.
        self._trusted = _Turns(None)
        self._newcomers = _Turns(_NEWCOMER_TURNS)
        self._large_senders = _Turns(_LARGE_TURNS, _LARGE_LOOKS)
        self._far_senders = _Turns(_FAR_TURNS)

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
        # gRPC is asked once, as a call begins: of a stream that has ended it would crash.
        peer = known_peer.get() or context.peer()
        turns = self._turns_of(peer)
        async with turns.one(turn_timeout_s):
            reading = asyncio.ensure_future(context.read())
            begun_s = time.monotonic()
            reading.add_done_callback(lambda read: self._judge(peer, turns, begun_s, read))
            look_count = turns.look_count
            if not await _is_prompt(reading, look_count):
                turns.shorten()
        await _is_prompt(reading, _PROMPT_LOOKS - look_count)
        return reading

    def _turns_of(self, peer: str) -> _Turns:
        sender = self._senders.get(peer, _Sender())
        if sender.standing >= 0:
            return self._trusted if sender.standing else self._newcomers
        return self._far_senders if sender.is_far else self._large_senders

    def _judge(self, peer: str, turns: _Turns, begun_s: float, read: asyncio.Future[Any]) -> None:
        # What broke off tells nothing: callers whose deadline passes leave in the middle, too.
        if read.cancelled() or read.exception() is not None:
            return
        sender = self._senders.setdefault(peer, _Sender())
        if isinstance(raw := read.result(), bytes) and len(raw) > UNREAD_BYTES:
            sender.standing = -_PROBATION_COUNT
            sender.is_far = len(raw) < _NEAR_BYTES_PER_S * (time.monotonic() - begun_s)
            if not sender.is_far:
                turns.lengthen()
        elif sender.standing <= 0:
            sender.standing += 1

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


async def _is_prompt(reading: asyncio.Future[Any], look_count: int) -> bool:
    try:
        for _ in range(look_count):
            if await _is_done(reading, _LOOK_S):
                return True
    except asyncio.CancelledError:
        reading.cancel()
        raise
    return False
