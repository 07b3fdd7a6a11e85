"""Searches that wait for a thread; each thread takes its share of them at once.

To hand one search to a thread and its result back costs a tenth of the search, and several that
are done together take less time than one after the other. A lone search does not wait for others.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
# So that nobody waits long for those who came along.
_BATCH_LIMIT = 8


class SearchQueue(Generic[Item, Result]):
    """Gathers items of one event loop, and has threads of its own that take them.

    A thread that is ready takes the next batch itself: the event loop, which has answers to hand
    on, would let it wait.
    """

    def __init__(
        self, process: Callable[[Sequence[Item]], Sequence[Result]], thread_count: int
    ) -> None:
        """Takes what is done with the items, and by how many threads.

        Args:
            process: Takes a batch and returns one result for each item; when it raises, the items
                are given to it one by one.
            thread_count: Batches that are under way at once, at most.
        """
        self._process = process
        self._executor = ThreadPoolExecutor(thread_count, thread_name_prefix="catalogue-search")
        self._thread_count = thread_count
        # Guards what follows, which the event loop and the threads change.
        self._lock = threading.Lock()
        self._busy_count = 0
        self._taken_count = 0
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()

    async def submit(self, item: Item) -> Result:
        """Returns the result of an item, or raises the error with which it failed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        with self._lock:
            self._waiting.append((item, future))
            is_thread_free = self._busy_count < self._thread_count
            self._busy_count += is_thread_free
        if is_thread_free:
            try:
                self._executor.submit(self._work, loop)
            except RuntimeError:  # the system has no thread left, or the queue was closed
                future.cancel()
                with self._lock:
                    self._busy_count -= 1
                raise
        return await future

    def close(self) -> None:
        """Waits until all that was submitted is done, and ends the threads."""
        self._executor.shutdown()

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Processes batches in one of the threads, as long as something waits."""
        batch = self._take()
        while batch:
            items, futures = zip(*batch, strict=True)
            results: Sequence[Result | Exception]
            try:
                results = self._process(items)
            except Exception:  # an item fails alone
                results = [self._process_alone(item) for item in items]
            loop.call_soon_threadsafe(_answer, futures, results)
            batch = self._take(done_count=len(batch))

    def _take(self, *, done_count: int = 0) -> list[tuple[Item, asyncio.Future[Result]]]:
        """Takes a share of what waits; the thread is free where there is nothing."""
        with self._lock:
            self._taken_count -= done_count
            share = -(-(self._taken_count + len(self._waiting)) // self._thread_count)
            batch: list[tuple[Item, asyncio.Future[Result]]] = []
            while self._waiting and len(batch) < min(share, _BATCH_LIMIT):
                item, future = self._waiting.popleft()
                if not future.cancelled():
                    batch.append((item, future))
            self._taken_count += len(batch)
            self._busy_count -= not batch
            return batch

    def _process_alone(self, item: Item) -> Result | Exception:
        try:
            (result,) = self._process([item])
        except Exception as error:  # handed to the waiter, who reports it
            return error
        return result


def _answer(
    futures: Sequence[asyncio.Future[Result]], results: Sequence[Result | Exception]
) -> None:
    """Hands results to those who still wait, in the event loop."""
    for future, result in zip(futures, results, strict=True):
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
