"""Reading what callers send, in bounded memory and time.

gRPC reads a message whole before it hands it over. What can be bounded is how many large or slow
ones are under way at a time, how long each may take, and how many streams are open.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import grpc

from twinshelf.server.access.caller import caller
from twinshelf.server.errors import (
    InvalidRequestError,
    ServerBusyError,
    ServerStoppingError,
    SlowMessageError,
)
from twinshelf.server.services.calls.message_reader import MessageReader

# Who asks how the server is, or for a watch, has little to say, and soon.
_SHORT_BYTES: Final = 64 * 1024
_SHORT_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeConfig:
    """The bounds of reading; see `ServerConfig` for their meaning."""

    slow_message_limit: int
    stream_limit: int
    message_timeout_s: float
    turn_timeout_s: float
    stream_idle_timeout_s: float


class Intake:
    """Messages that are being read, over all calls. Belongs to one event loop."""

    def __init__(self, config: IntakeConfig) -> None:
        """Takes the bounds."""
        self._config = config
        self._messages = _reader(config, config.message_timeout_s)
        # Streams are quiet at times, and each that is looked at then takes a turn: of their own.
        self._messages_of_streams = _reader(config, config.message_timeout_s)
        # Strangers have places of their own: they must not hold up callers with a key.
        short_timeout_s = min(_SHORT_TIMEOUT_S, config.message_timeout_s)
        self._messages_of_strangers = _reader(config, short_timeout_s)
        self._streams: Counter[str] = Counter()  # by key; "" without one

    @cached_property
    def _stopping(self) -> asyncio.Future[None]:
        """Is done from when the server stops."""
        return asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Lets streams end once they have answered what was sent. A repeat is safe."""
        if not self._stopping.done():
            self._stopping.set_result(None)

    async def read_one(self, context: grpc.aio.ServicerContext) -> bytes:
        """Returns the only message of a call.

        Raises:
            InvalidRequestError: If the call ends without a message.
            TooManyBytesError: If it is slow or may be large, and many others are.
            SlowMessageError: If it takes too long.
        """
        return await self._messages.read(context)

    async def read_short(self, context: grpc.aio.ServicerContext, *, is_open: bool) -> bytes:
        """Returns the only message of a call that has no reason to be long.

        Args:
            context: That of the call.
            is_open: Whether the method needs no key.

        Raises:
            InvalidRequestError: If the call ends without a message, or with a long one.
            TooManyBytesError: If it is slow or may be large, and many others are.
            SlowMessageError: If it takes too long.
        """
        raw = await (self._messages_of_strangers if is_open else self._messages).read(context)
        if len(raw) > _SHORT_BYTES:
            raise InvalidRequestError(
                f"a message of this method may have {_SHORT_BYTES} bytes, got {len(raw)}", field=""
            )
        return raw

    async def read_next(self, context: grpc.aio.ServicerContext) -> bytes | None:
        """Returns the next message of a stream; None once the caller has sent all.

        Not as a generator, which would hold each message until the next one comes.

        Raises:
            SlowMessageError: If the next message takes longer than a stream may be idle.
            ServerStoppingError: If the server stops.
        """
        if self._stopping.done():  # else a stream whose messages come quickly would never end
            raise _stopping_error()
        # Without a limit: a stream that waits for its turn costs nobody anything.
        reading = await self._messages_of_streams.begin(context, turn_timeout_s=None)
        try:
            await asyncio.wait(
                {reading, self._stopping},
                timeout=self._config.stream_idle_timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            raw = self._result(reading)
        finally:
            reading.cancel()
        return raw if isinstance(raw, bytes) else None

    @contextmanager
    def open_stream(self) -> Iterator[None]:
        """Counts a stream of the caller while its body runs.

        Raises:
            ServerBusyError: If too many are open, or half of the places are his key's already.
        """
        known = caller.get()
        key_id = known.key_id if known else ""
        limit = self._config.stream_limit
        if self._streams.total() >= limit:
            raise ServerBusyError(
                f"{self._streams.total()} streams are open already; repeat the call later",
                retry_after_s=1.0,
            )
        # A watch lasts for as long as its caller likes: one key must not keep all others out.
        if known and self._streams[key_id] >= max(1, limit // 2):
            raise ServerBusyError(
                f"the API key {key_id} has {self._streams[key_id]} streams open already, half of "
                "what there are; end one of them first",
                retry_after_s=1.0,
            )
        self._streams[key_id] += 1
        try:
            yield
        finally:
            self._streams[key_id] -= 1
            if not self._streams[key_id]:
                del self._streams[key_id]

    def _result(self, reading: asyncio.Future[Any]) -> Any:
        if reading.done():
            return reading.result()
        if self._stopping.done():
            raise _stopping_error()
        raise SlowMessageError(
            f"the stream sent nothing for {self._config.stream_idle_timeout_s:g} s"
        )


def _stopping_error() -> ServerStoppingError:
    return ServerStoppingError("the server is stopping; repeat what was not answered")


def _reader(config: IntakeConfig, timeout_s: float) -> MessageReader:
    return MessageReader(
        slow_limit=config.slow_message_limit,
        timeout_s=timeout_s,
        turn_timeout_s=config.turn_timeout_s,
    )
