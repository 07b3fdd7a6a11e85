"""The write queue: order, batches, failures and closing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from twinshelf.server.catalogue.write_queue import WriteQueue
from twinshelf.server.errors import ServerStoppingError


class HeldProcess:
    """Holds every batch back until it may go, keeps its items in `done` and answers with them."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.done: list[int] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.may_go.wait(10)
        self.done.extend(items)
        return list(items)


async def test_items_are_processed_in_order_and_in_batches() -> None:
    batches: list[list[int]] = []
    may_go = threading.Event()

    def process(items: Sequence[int]) -> list[int]:
        may_go.wait(10)
        batches.append(list(items))
        return [item * 2 for item in items]

    writes: WriteQueue[int, int] = WriteQueue(process, batch_limit=10)
    waiting = [asyncio.ensure_future(writes.submit(item)) for item in range(35)]
    await asyncio.sleep(0)
    may_go.set()
    assert await asyncio.gather(*waiting) == [item * 2 for item in range(35)]
    assert [item for batch in batches for item in batch] == list(range(35))
    assert max(map(len, batches)) == 10
    await asyncio.to_thread(writes.close)


async def test_a_failure_reaches_every_waiter_of_the_batch_and_the_queue_goes_on() -> None:
    def process(items: Sequence[int]) -> list[int]:
        if 13 in items:
            raise OSError("disk full")
        return list(items)

    writes: WriteQueue[int, int] = WriteQueue(process, batch_limit=1)
    results = await asyncio.gather(*map(writes.submit, (1, 13, 2)), return_exceptions=True)
    assert results[0] == 1
    assert isinstance(results[1], OSError)
    assert results[2] == 2
    await asyncio.to_thread(writes.close)


async def test_closing_finishes_what_was_submitted_and_takes_no_more() -> None:
    process = HeldProcess()
    writes: WriteQueue[int, int] = WriteQueue(process, batch_limit=2)
    waiting = [asyncio.ensure_future(writes.submit(item)) for item in range(5)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(asyncio.to_thread(writes.close))
    process.may_go.set()
    await closing
    assert await asyncio.gather(*waiting) == process.done == list(range(5))
    with pytest.raises(ServerStoppingError):
        await writes.submit(6)
    await asyncio.to_thread(writes.close)


@pytest.mark.slow
async def test_an_item_that_comes_as_the_queue_is_closed_is_processed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writes: WriteQueue[int, int] = WriteQueue(list, batch_limit=2)
    put = writes._queue.put
    closing = threading.Thread(target=writes.close)

    class SlowQueue:
        get, empty = writes._queue.get, writes._queue.empty

        def put(self, waiting: Any) -> None:
            if waiting is not None:
                closing.start()
                closing.join(0.2)  # it goes on behind the lock only
            put(waiting)

    monkeypatch.setattr(writes, "_queue", SlowQueue())
    assert await asyncio.wait_for(writes.submit(1), 5) == 1
    await asyncio.to_thread(closing.join)


async def test_a_waiter_that_leaves_does_not_undo_its_item() -> None:
    process = HeldProcess()
    writes: WriteQueue[int, int] = WriteQueue(process, batch_limit=2)
    waiting = asyncio.ensure_future(writes.submit(1))
    await asyncio.sleep(0)
    waiting.cancel()
    process.may_go.set()
    assert await writes.submit(2) == 2
    assert process.done == [1, 2]
    await asyncio.to_thread(writes.close)
