"""One thread that takes everything written, in order and in batches."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from twinshelf.server.errors import ServerStoppingError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting(Generic[Item]):
    item: Item
    future: Future[Any] = field(default_factory=Future)


class WriteQueue(Generic[Item, Result]):
    """Hands items to a function in a thread of its own, as many at once as have gathered.

    One commit for a batch makes a stream of writes as fast as the disk can be, without holding back
    a lone write.
    """

    def __init__(
        self,
        process: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        batch_limit: int,
    ) -> None:
        """Starts the thread.

        Args:
            process: Takes a batch and returns one result for each item, or the error with which
                it failed; when it raises, all items of the batch fail with that error.
            batch_limit: Most items of a batch.
        """
        self._process = process
        self._batch_limit = batch_limit
        self._queue: queue.SimpleQueue[_Waiting[Item] | None] = queue.SimpleQueue()
        self._closed = False
        # Behind the mark of the end nothing would be taken any more.
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="catalogue-writer", daemon=True)
        self._thread.start()

    async def submit(self, item: Item) -> Result:
        """Waits until an item is processed, and returns its result.

        An item whose waiter is cancelled is processed all the same.

        Raises:
            ServerStoppingError: If the queue is closed.
        """
        result: Result = await asyncio.shield(asyncio.wrap_future(self.put(item)))
        return result

    def put(self, item: Item) -> Future[Any]:
        """Takes an item from any thread; the future will have its result.

        Raises:
            ServerStoppingError: If the queue is closed.
        """
        waiting = _Waiting(item=item)
        with self._lock:
            if self._closed:
                raise ServerStoppingError("the server is stopping; nothing is written any more")
            self._queue.put(waiting)
        return waiting.future

    def close(self) -> None:
        """Lets the thread finish what was submitted, and waits for its end. A repeat is safe."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            first = self._queue.get()
            if first is None:
                break
            batch = [first]
            while len(batch) < self._batch_limit and not self._queue.empty():
                waiting = self._queue.get()
                if waiting is None:
                    is_open = False
                    break
                batch.append(waiting)
            self._answer(batch)

    def _answer(self, batch: list[_Waiting[Item]]) -> None:
        # Begun: who waits may leave, but the item can no longer be taken back.
        for waiting in batch:
            waiting.future.set_running_or_notify_cancel()
        try:
            results = self._process([waiting.item for waiting in batch])
        except Exception as error:  # handed to the waiters, each of which reports it
            results = [error] * len(batch)
        for waiting, result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                waiting.future.set_exception(result)
            else:
                waiting.future.set_result(result)
