"""A gRPC client at the level of HTTP/2 frames: cheap enough to load a service on its own machine.

It takes a few hundredths of a millisecond a call, a tenth of what a complete client takes, and it
may do what no decent client does: leave answers unread, stop within a message, send anything.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from typing import Final

from tests.soak import frames

UNAVAILABLE, CANCELLED = 14, 1
# The receive window of the connection is filled up again when this much of it is used.
_CREDIT_BYTES: Final = 1 << 24


class WireCall:
    """One stream of a connection."""

    __slots__ = ("_unsent", "ends", "message_count", "on_end", "stream_id", "tag", "window")

    def __init__(self, on_end: Callable[[WireCall, int], None], tag: float) -> None:
        """Takes whom to tell the status, and a mark of the caller's own."""
        self.on_end = on_end
        self.tag = tag
        self.stream_id = 0
        self.window = 0
        self._unsent = memoryview(b"")
        self.ends = True
        self.message_count = 0


class WireConnection(asyncio.Protocol):
    """One connection with any number of calls."""

    def __init__(self, *, reads: bool = True, window: int | None = None) -> None:
        """Takes whether answers are read; else the peer fills its window and may send no more.

        Args:
            reads: Whether they are.
            window: What the peer may send of each answer at first; None for the usual size.
        """
        self._reads = reads
        self._chosen_window = frames.LARGEST_WINDOW if reads and window is None else window
        self._buffer = b""
        self._next_id = 1
        self._calls: dict[int, WireCall] = {}
        self._held: deque[tuple[WireCall, bytes, bytes]] = deque()
        self._uploads: deque[WireCall] = deque()
        self._window = frames.DEFAULT_WINDOW
        self._stream_window = frames.DEFAULT_WINDOW
        self._stream_limit = frames.LARGEST_WINDOW
        self._received = 0
        self._transport: asyncio.Transport | None = None
        self.closed = asyncio.get_running_loop().create_future()

    @property
    def unread_bytes(self) -> int:
        """What the peer lets a call send before it reads any of it."""
        return self._stream_window

    @property
    def call_count(self) -> int:
        """Calls that have not ended."""
        return len(self._calls) + len(self._held)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets the server."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        chosen = {frames.HEADER_TABLE_SIZE: 0}
        greeting = b""
        if self._chosen_window is not None:
            chosen[frames.INITIAL_WINDOW_SIZE] = self._chosen_window
        if self._reads:
            spare = frames.LARGEST_WINDOW - frames.DEFAULT_WINDOW
            greeting = frames.window_update(0, spare)
        transport.write(frames.PREFACE + frames.settings(chosen) + greeting)

    def start(
        self,
        headers: bytes,
        body: bytes,
        on_end: Callable[[WireCall, int], None],
        *,
        tag: float = 0.0,
        ends: bool = True,
    ) -> WireCall:
        """Starts a call.

        Args:
            headers: A header block.
            body: Messages with their prefixes; may be cut anywhere.
            on_end: Told the call and its gRPC status, once, unless the call is cancelled.
            tag: Kept at the call.
            ends: Whether the caller has said all; else the stream stays open.
        """
        call = WireCall(on_end, tag)
        call.ends = ends
        if self._transport is None or self._transport.is_closing():
            asyncio.get_running_loop().call_soon(on_end, call, UNAVAILABLE)
        elif len(self._calls) >= self._stream_limit:
            self._held.append((call, headers, body))
        else:
            self._open(call, headers, body)
        return call

    def send(self, call: WireCall, body: bytes, *, ends: bool = False) -> None:
        """Sends more of an open call; dropped when it has ended."""
        if self._calls.get(call.stream_id) is not call:
            return
        call.ends = ends
        is_queued = len(call._unsent) > 0
        call._unsent = memoryview(bytes(call._unsent) + body)
        if not is_queued:
            self._uploads.append(call)
        self._upload()

    def cancel(self, call: WireCall) -> bool:
        """Cancels a call; returns whether it was still open."""
        for place, (held, _, _) in enumerate(self._held):
            if held is call:
                del self._held[place]
                return True
        if self._calls.get(call.stream_id) is not call:
            return False
        self._forget(call)
        self._write(frames.reset(call.stream_id))
        return True

    def allow(self, call: WireCall, byte_count: int) -> None:
        """Lets the peer send more of an answer."""
        self._write(frames.window_update(call.stream_id, byte_count))

    def close(self) -> None:
        """Closes the connection; what runs ends as unavailable."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends all calls."""
        calls = [*self._calls.values(), *(call for call, _, _ in self._held)]
        self._calls.clear()
        self._held.clear()
        for call in calls:
            call.on_end(call, UNAVAILABLE)
        if not self.closed.done():
            self.closed.set_result(error)

    def data_received(self, data: bytes) -> None:
        """Takes the frames in order."""
        buffer = self._buffer + data if self._buffer else data
        place, end = 0, len(buffer)
        while end - place >= frames.HEADER_LENGTH:
            length = int.from_bytes(buffer[place : place + 3], "big")
            stop = place + frames.HEADER_LENGTH + length
            if stop > end:
                break
            stream_id = int.from_bytes(buffer[place + 5 : place + 9], "big")
            kind, flags = buffer[place + 3], buffer[place + 4]
            self._take(kind, flags, stream_id, buffer, place + frames.HEADER_LENGTH, stop)
            place = stop
        self._buffer = buffer[place:]

    def _take(
        self, kind: int, flags: int, stream_id: int, buffer: bytes, start: int, stop: int
    ) -> None:
        if kind == frames.DATA:
            self._count(stop - start)
            if call := self._calls.get(stream_id):
                call.message_count += 1
        elif kind == frames.HEADERS:
            if flags & frames.END_STREAM:
                status = frames.status_in(buffer[start:stop])
                self._end(stream_id, 2 if status is None else status)
        elif kind == frames.RESET:
            self._end(stream_id, UNAVAILABLE)
        elif kind == frames.WINDOW_UPDATE:
            self._allow(stream_id, int.from_bytes(buffer[start:stop], "big"))
        elif kind == frames.SETTINGS and not flags & frames.ACKNOWLEDGED:
            self._agree(buffer[start:stop])
        elif kind == frames.PING and not flags & frames.ACKNOWLEDGED:
            self._write(frames.frame(frames.PING, frames.ACKNOWLEDGED, 0, buffer[start:stop]))

    def _open(self, call: WireCall, headers: bytes, body: bytes) -> None:
        call.stream_id = self._next_id
        self._next_id += 2
        call.window = self._stream_window
        self._calls[call.stream_id] = call
        head = frames.frame(frames.HEADERS, frames.END_HEADERS, call.stream_id, headers)
        room = min(self._window, call.window, frames.FRAME_SIZE)
        if 0 < len(body) <= room and not self._uploads:
            self._window -= len(body)
            call.window -= len(body)
            flags = frames.END_STREAM if call.ends else 0
            self._write(head + frames.frame(frames.DATA, flags, call.stream_id, body))
            return
        self._write(head)
        if body:
            call._unsent = memoryview(body)
            self._uploads.append(call)
            self._upload()

    def _upload(self) -> None:
        """Sends what the windows allow, turn by turn."""
        blocked: deque[WireCall] = deque()
        while self._uploads and self._window > 0:
            call = self._uploads.popleft()
            if self._calls.get(call.stream_id) is not call:
                continue
            size = min(self._window, call.window, frames.FRAME_SIZE, len(call._unsent))
            if size <= 0:
                blocked.append(call)
                continue
            piece, call._unsent = bytes(call._unsent[:size]), call._unsent[size:]
            self._window -= size
            call.window -= size
            flags = frames.END_STREAM if call.ends and not call._unsent else 0
            self._write(frames.frame(frames.DATA, flags, call.stream_id, piece))
            if call._unsent:
                self._uploads.append(call)
        self._uploads.extend(blocked)

    def _allow(self, stream_id: int, byte_count: int) -> None:
        if stream_id == 0:
            self._window += byte_count
        elif call := self._calls.get(stream_id):
            call.window += byte_count
        if self._uploads:
            self._upload()

    def _agree(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == frames.INITIAL_WINDOW_SIZE:
                for call in self._calls.values():
                    call.window += value - self._stream_window
                self._stream_window = value
            elif name == frames.MAX_CONCURRENT_STREAMS:
                self._stream_limit = value
        self._write(frames.frame(frames.SETTINGS, frames.ACKNOWLEDGED, 0))
        self._upload()

    def _count(self, byte_count: int) -> None:
        self._received += byte_count
        if self._reads and self._received > _CREDIT_BYTES:
            self._write(frames.window_update(0, self._received))
            self._received = 0

    def _end(self, stream_id: int, status: int) -> None:
        if call := self._calls.get(stream_id):
            self._forget(call)
            call.on_end(call, status)

    def _forget(self, call: WireCall) -> None:
        del self._calls[call.stream_id]
        call._unsent = memoryview(b"")
        while self._held and len(self._calls) < self._stream_limit:
            self._open(*self._held.popleft())

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


async def connect(address: str, *, reads: bool = True, window: int | None = None) -> WireConnection:
    """Opens a connection to host:port; see `WireConnection`.

    Raises:
        OSError: If nobody listens there.
    """
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: WireConnection(reads=reads, window=window), host, int(port)
    )
    return connection
