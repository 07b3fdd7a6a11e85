"""The queue of searches: gathered, failing alone, left out once nobody waits, done at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from unittest.mock import Mock

import pytest

from twinshelf.server.catalogue.one_machine.search_queue import SearchQueue


class Doubling:
    """Doubles numbers once the gate is open; a negative one fails."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.gate = threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.begun.release()
        self.gate.wait()
        if min(items) < 0:
            raise ValueError(f"{min(items)} is negative")
        return [2 * item for item in items]


async def submit_all(
    doubling: Doubling, queue: SearchQueue[int, int], numbers: Sequence[int], *, thread_count: int
) -> list[asyncio.Task[int]]:
    """Submits numbers, of which each thread is held up by one, the first ones."""
    results = []
    for place, number in enumerate(numbers):
        results.append(asyncio.create_task(queue.submit(number)))
        await asyncio.sleep(0)
        if place < thread_count:
            await asyncio.to_thread(doubling.begun.acquire)
    return results


async def test_what_waits_is_processed_together() -> None:
    doubling = Doubling()
    queue = SearchQueue(doubling, 1)
    results = await submit_all(doubling, queue, range(11), thread_count=1)
    doubling.gate.set()
    assert await asyncio.gather(*results) == list(range(0, 22, 2))
    assert [len(batch) for batch in doubling.batches] == [1, 8, 2]


async def test_threads_share_what_waits() -> None:
    doubling = Doubling()
    queue = SearchQueue(doubling, 2)
    results = await submit_all(doubling, queue, range(8), thread_count=2)
    doubling.gate.set()
    await asyncio.gather(*results)
    assert sorted(len(batch) for batch in doubling.batches) == [1, 1, 2, 4]


async def test_an_item_fails_alone() -> None:
    doubling = Doubling()
    queue = SearchQueue(doubling, 1)
    results = await submit_all(doubling, queue, (0, 1, -2, 3), thread_count=1)
    doubling.gate.set()
    first, second, third, fourth = await asyncio.gather(*results, return_exceptions=True)
    assert (first, second, fourth) == (0, 2, 6)
    assert isinstance(third, ValueError)


async def test_what_nobody_waits_for_is_not_processed() -> None:
    doubling = Doubling()
    queue = SearchQueue(doubling, 1)
    results = await submit_all(doubling, queue, range(3), thread_count=1)
    results[1].cancel()
    await asyncio.sleep(0)
    doubling.gate.set()
    assert await results[2] == 4
    assert doubling.batches == [[0], [2]]


async def test_a_free_thread_takes_what_comes_after_a_pause() -> None:
    doubling = Doubling()
    doubling.gate.set()
    queue = SearchQueue(doubling, 1)
    assert [await queue.submit(number) for number in range(3)] == [0, 2, 4]
    results = await submit_all(doubling, queue, (7,), thread_count=0)
    results[0].cancel()
    assert await queue.submit(4) == 8


async def test_the_next_item_is_processed_after_a_thread_could_not_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    doubling = Doubling()
    doubling.gate.set()
    queue = SearchQueue(doubling, 1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError("no thread")))
        with pytest.raises(RuntimeError, match="no thread"):
            await queue.submit(1)
    assert [await queue.submit(number) for number in (2, 3)] == [4, 6]
    assert doubling.batches == [[2], [3]]


async def test_closing_waits_for_all_that_was_submitted() -> None:
    doubling = Doubling()
    queue = SearchQueue(doubling, 1)
    results = await submit_all(doubling, queue, range(20), thread_count=1)
    doubling.gate.set()
    await asyncio.to_thread(queue.close)
    await asyncio.sleep(0)
    assert all(result.done() for result in results)
