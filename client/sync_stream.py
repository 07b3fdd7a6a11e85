"""Drives one two-way stream for the sync client; gRPC's threads move the bytes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic

import grpc

from twinshelf.client.errors import error_from_call
from twinshelf.client.listening import END, Listening
from twinshelf.client.streams import Answer, Row, StreamRows


class SyncStream(Generic[Row, Answer]):
    """Sends rows and yields their answers as they come; opens the stream again when it breaks.

    Rows are taken from the caller, and answers handed over, in the caller's own thread.
    """

    def __init__(
        self,
        open_call: Callable[[Iterator[Any]], Any],
        listening: Listening[Row, Answer],
        source: Iterable[Row],
    ) -> None:
        """Keeps what it needs; nothing is sent before the first answer is asked for.

        Args:
            open_call: Starts the stream from an iterator of requests.
            listening: Keeps the books, and knows how long to wait.
            source: The caller's rows.
        """
        self._open_call = open_call
        self._listening: Listening[Row, Answer] = listening
        self._rows: StreamRows[Row, Answer] = listening.rows
        self._source = iter(source)
        self._is_exhausted = False

    def answers(self) -> Iterator[Answer]:
        """Yields one answer for each row, in any order.

        Raises:
            TwinshelfError: If the stream fails as a whole.
        """
        while not self._is_done:
            try:
                yield from self._one_stream()
            except grpc.RpcError as error:
                mapped = error_from_call(error, self._listening.address)
                time.sleep(self._rows.wait_after_break_s(mapped, time.monotonic()))

    @property
    def _is_done(self) -> bool:
        return self._is_exhausted and self._rows.is_empty

    def _one_stream(self) -> Iterator[Answer]:
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        responses: queue.SimpleQueue[Any] = queue.SimpleQueue()
        call = self._open_call(iter(requests.get, END))
        threading.Thread(target=_pump, args=(call, responses), daemon=True).start()
        self._listening.start_silence()
        try:
            while not self._is_done:
                self._send(requests, responses)
                yield from self._rows.take_unsendable()
                if self._rows.is_empty:
                    continue
                answer = self._receive(responses)
                if answer is not None:
                    yield answer
            requests.put(END)
            self._wait_for_end(responses)
        finally:
            requests.put(END)  # frees gRPC's thread, which waits for requests
            call.cancel()

    def _send(self, requests: queue.SimpleQueue[Any], responses: queue.SimpleQueue[Any]) -> None:
        was_owed = self._rows.has_unanswered
        for request in self._rows.due_requests(time.monotonic()):
            requests.put(request)
        # A slow source must not hold back answers that are there already.
        while not self._is_exhausted and self._rows.may_take(answers_wait=not responses.empty()):
            try:
                row = next(self._source)
            except StopIteration:
                self._is_exhausted = True
                break
            request = self._rows.add(row)
            if request is not None:
                requests.put(request)
        if not was_owed:
            self._listening.start_silence()

    def _receive(self, responses: queue.SimpleQueue[Any]) -> Answer | None:
        wait = self._listening.next_wait()
        try:
            response = responses.get(timeout=wait.seconds)
        except queue.Empty:
            if wait.ends_in_repeat:
                return None
            raise self._listening.silence_error() from None
        return self._listening.take(response)

    def _wait_for_end(self, responses: queue.SimpleQueue[Any]) -> None:
        """Lets the service finish the call by itself; every answer is here already."""
        try:
            while (response := responses.get(timeout=self._listening.timeout_s)) is not END:
                if isinstance(response, grpc.RpcError):
                    return
        except queue.Empty:
            return


def _pump(call: Any, responses: queue.SimpleQueue[Any]) -> None:
    """Moves responses, then how the stream ended, into a queue that can be read with a timeout."""
    try:
        for response in call:
            responses.put(response)
        responses.put(END)
    except grpc.RpcError as error:
        responses.put(error)
