"""The queue of searches: they are gathered, fail alone, and are left out once nobody waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from twinshelf.server.catalogue.one_machine.search_queue import SearchQueue


class Doubling:
    """Doubles numbers, and may be held up; a negative one fails."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.gate.wait()
        if min(items) < 0:
            raise ValueError(f"{min(items)} is negative")
        return [2 * item for item in items]


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    """Threads for the queue."""
    with ThreadPoolExecutor(2) as threads:
        yield threads


async def test_what_waits_is_processed_together(executor: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    doubling.gate.clear()
    queue = SearchQueue(doubling, executor, 1)
    results = [asyncio.ensure_future(queue.submit(number)) for number in range(11)]
    await asyncio.sleep(0)
    doubling.gate.set()
    assert await asyncio.gather(*results) == list(range(0, 22, 2))
    assert [len(batch) for batch in doubling.batches] == [1, 8, 2]


async def test_threads_share_what_waits(executor: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    doubling.gate.clear()
    queue = SearchQueue(doubling, executor, 2)
    results = [asyncio.ensure_future(queue.submit(number)) for number in range(8)]
    await asyncio.sleep(0)
    doubling.gate.set()
    await asyncio.gather(*results)
    assert sorted(len(batch) for batch in doubling.batches) == [1, 1, 2, 4]


async def test_an_item_fails_alone(executor: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    doubling.gate.clear()
    queue = SearchQueue(doubling, executor, 1)
    results = [asyncio.ensure_future(queue.submit(number)) for number in (0, 1, -2, 3)]
    await asyncio.sleep(0)
    doubling.gate.set()
    first, second, third, fourth = await asyncio.gather(*results, return_exceptions=True)
    assert (first, second, fourth) == (0, 2, 6)
    assert isinstance(third, ValueError)


async def test_what_nobody_waits_for_is_not_processed(executor: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    doubling.gate.clear()
    queue = SearchQueue(doubling, executor, 1)
    results = [asyncio.ensure_future(queue.submit(number)) for number in range(3)]
    await asyncio.sleep(0)
    results[1].cancel()
    doubling.gate.set()
    assert await results[2] == 4
    assert doubling.batches == [[0], [2]]


async def test_draining_waits_for_all_that_was_submitted(executor: ThreadPoolExecutor) -> None:
    queue = SearchQueue(Doubling(), executor, 1)
    results = [asyncio.ensure_future(queue.submit(number)) for number in range(20)]
    await asyncio.sleep(0)
    await queue.drain()
    await asyncio.sleep(0)
    assert all(result.done() for result in results)
