"""Searches that wait for a thread; each thread takes its share of them at once.

To hand one search to a thread and its result back costs a tenth of the search, and several that
are done together take less time than one after the other. A lone search does not wait for others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
# So that nobody waits long for those who came along.
_BATCH_LIMIT = 8


class SearchQueue(Generic[Item, Result]):
    """Gathers items and hands them to threads. Belongs to one event loop."""

    def __init__(
        self,
        process: Callable[[Sequence[Item]], Sequence[Result]],
        executor: Executor,
        thread_count: int,
    ) -> None:
        """Takes what is done with the items, and where.

        Args:
            process: Takes a batch and returns one result for each item; when it raises, the items
                are given to it one by one.
            executor: Its threads.
            thread_count: Batches that are under way at once, at most.
        """
        self._process = process
        self._executor = executor
        self._thread_count = thread_count
        self._busy_count = 0
        self._unanswered_count = 0
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()

    async def submit(self, item: Item) -> Result:
        """Returns the result of an item, or raises the error with which it failed."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._unanswered_count += 1
        self._start()
        return await future

    async def drain(self) -> None:
        """Waits until all that was submitted has its result."""
        if self._waiting:
            await asyncio.wait([future for _, future in self._waiting])

    def _start(self) -> None:
        while self._waiting and self._busy_count < self._thread_count:
            share = -(-self._unanswered_count // self._thread_count)
            count = min(share, _BATCH_LIMIT, len(self._waiting))
            taken = [self._waiting.popleft() for _ in range(count)]
            batch = [(item, future) for item, future in taken if not future.cancelled()]
            self._unanswered_count -= count - len(batch)
            if batch:
                self._busy_count += 1
                self._executor.submit(
                    self._work, asyncio.get_running_loop(), *zip(*batch, strict=True)
                )

    def _work(
        self,
        loop: asyncio.AbstractEventLoop,
        items: Sequence[Item],
        futures: Sequence[asyncio.Future[Result]],
    ) -> None:
        """Processes a batch, in one of the threads."""
        results: Sequence[Result | Exception]
        try:
            results = self._process(items)
        except Exception:  # an item fails alone
            results = [self._process_alone(item) for item in items]
        loop.call_soon_threadsafe(self._answer, futures, results)

    def _process_alone(self, item: Item) -> Result | Exception:
        try:
            (result,) = self._process([item])
        except Exception as error:  # handed to the waiter, who reports it
            return error
        return result

    def _answer(
        self, futures: Sequence[asyncio.Future[Result]], results: Sequence[Result | Exception]
    ) -> None:
        self._busy_count -= 1
        self._unanswered_count -= len(futures)
        self._start()
        for future, result in zip(futures, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
