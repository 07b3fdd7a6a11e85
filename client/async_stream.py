"""Drives one two-way stream for the asyncio client."""

from __future__ import annotations

import asyncio
import contextlib
import time
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any, Final, Generic

import grpc

from twinshelf.client.errors import TwinshelfError, error_from_call, unreachable_error
from twinshelf.client.listening import END, Listening
from twinshelf.client.streams import Answer, Row, StreamRows

# What grpc.aio says, instead of the reason, when a stream ends while a request is being written.
_LOST_WHILE_WRITING = "Internal error from Core"
# Stands behind the last row of a source.
_NO_ROW: Final = object()


class AsyncStream(Generic[Row, Answer]):
    """Sends rows and yields their answers as they come; opens the stream again when it breaks."""

    def __init__(
        self,
        open_call: Callable[[], Any],
        listening: Listening[Row, Answer],
        source: Iterable[Row] | AsyncIterable[Row],
    ) -> None:
        """Keeps what it needs; nothing is sent before the first answer is asked for.

        Args:
            open_call: Starts the stream.
            listening: Keeps the books, and knows how long to wait.
            source: The caller's rows.
        """
        self._open_call = open_call
        self._listening: Listening[Row, Answer] = listening
        self._rows: StreamRows[Row, Answer] = listening.rows
        self._source = _as_async(source)
        self._taking: asyncio.Future[Any] | None = None  # the next row, which may be long in coming
        self._is_exhausted = False
        self._heard = asyncio.Event()  # set by each response, and by the end of the stream
        self._has_lost_reason = False  # of the last stream's end

    async def answers(self) -> AsyncIterator[Answer]:
        """Yields one answer for each row, in any order.

        Raises:
            TwinshelfError: If the stream fails as a whole.
        """
        try:
            while not self._is_done:
                try:
                    async for answer in self._one_stream():
                        yield answer
                except grpc.RpcError as error:
                    mapped = _stream_error(error, self._listening.address)
                    self._has_lost_reason = error.details() == _LOST_WHILE_WRITING
                    await asyncio.sleep(self._rows.wait_after_break_s(mapped, time.monotonic()))
        finally:
            if self._taking is not None:
                self._taking.cancel()

    @property
    def _is_done(self) -> bool:
        return self._is_exhausted and self._rows.is_empty

    async def _one_stream(self) -> AsyncIterator[Answer]:
        responses: asyncio.Queue[Any] = asyncio.Queue()
        call = self._open_call()
        pump = asyncio.create_task(_pump(call, responses, self._heard))
        self._listening.start_silence()
        try:
            while not self._is_done:
                await self._send(call, responses)
                for answer in self._rows.take_unsendable():
                    yield answer
                if self._rows.is_empty:
                    continue
                received = await self._receive(responses)
                if received is not None:
                    yield received
            await self._finish(call, pump)
        finally:
            call.cancel()
            pump.cancel()

    async def _send(self, call: Any, responses: asyncio.Queue[Any]) -> None:
        was_owed = self._rows.has_unanswered
        for request in self._rows.due_requests(time.monotonic()):
            self._heard.clear()
            await self._write(call, request)
            if self._has_lost_reason and not call.done():
                # One by one, so that a row that ends the stream does so while none is written.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._heard.wait(), self._listening.timeout_s)
        if not was_owed:
            self._listening.start_silence()
        while not self._is_exhausted and self._rows.may_take(answers_wait=not responses.empty()):
            taking = self._taking or asyncio.ensure_future(anext(self._source, _NO_ROW))
            self._taking = taking
            if not await self._comes_first(taking):
                break
            self._taking = None
            if (row := taking.result()) is _NO_ROW:
                self._is_exhausted = True
                break
            if not self._rows.has_unanswered:
                self._listening.start_silence()
            request = self._rows.add(row)
            if request is None:
                break  # held back, or answered already
            await self._write(call, request)

    async def _comes_first(self, taking: asyncio.Future[Any]) -> bool:
        """Waits for a row; returns False where an answer, a repeat or a long silence is before it.

        A slow source must not hold those back.
        """
        self._heard.clear()
        heard = asyncio.ensure_future(self._heard.wait())
        wait_s = None if self._rows.is_empty else self._listening.next_wait().seconds
        try:
            await asyncio.wait((taking, heard), timeout=wait_s, return_when=FIRST_COMPLETED)
        finally:
            heard.cancel()
        return taking.done()

    async def _write(self, call: Any, request: Any) -> None:
        try:
            await asyncio.wait_for(call.write(request), self._listening.timeout_s)
        except TimeoutError:
            raise self._listening.silence_error() from None
        except asyncio.InvalidStateError:
            # The stream is over; how it ended comes through the responses.
            return

    async def _receive(self, responses: asyncio.Queue[Any]) -> Answer | None:
        wait = self._listening.next_wait()
        try:
            # Not `wait_for` alone: with no time left it would not look at what is there.
            response = (
                responses.get_nowait()
                if not responses.empty()
                else await asyncio.wait_for(responses.get(), wait.seconds)
            )
        except TimeoutError:
            if wait.ends_in_repeat:
                return None
            raise self._listening.silence_error() from None
        return self._listening.take(response)

    async def _finish(self, call: Any, pump: asyncio.Task[None]) -> None:
        """Lets the service finish the call by itself; every answer is here already."""
        try:
            await call.done_writing()
            await asyncio.wait_for(pump, self._listening.timeout_s)
        except (TimeoutError, asyncio.InvalidStateError, grpc.RpcError, grpc.aio.InternalError):
            return


def _stream_error(error: grpc.RpcError, address: str) -> TwinshelfError:
    mapped = error_from_call(error, address)
    if error.details() == _LOST_WHILE_WRITING:
        return unreachable_error(address, "the stream broke")
    return mapped


async def _pump(call: Any, responses: asyncio.Queue[Any], heard: asyncio.Event) -> None:
    """Moves responses, then how the stream ended, into a queue that can be read with a timeout."""
    try:
        async for response in call:
            responses.put_nowait(response)
            heard.set()
        responses.put_nowait(END)
    except grpc.RpcError as error:
        responses.put_nowait(error)
    heard.set()


async def _as_async(source: Iterable[Row] | AsyncIterable[Row]) -> AsyncIterator[Row]:
    if isinstance(source, AsyncIterable):
        async for row in source:
            yield row
    else:
        for row in source:
            yield row
