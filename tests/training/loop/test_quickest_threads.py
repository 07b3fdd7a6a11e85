"""By how many threads a step is computed, by the time that the steps before it took."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from twinshelf.training.loop.quickest_threads import QuickestThreads


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Clock:
    """A clock that a step moves on by what it takes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr("time.monotonic", lambda: self.now_s)

    def train(self, callback: QuickestThreads, took_s: dict[int, float], count: int) -> list[int]:
        """Takes steps; returns by how many threads each was computed."""
        used = []
        for _ in range(count):
            used.append(torch.get_num_threads())
            callback.on_train_batch_start()
            self.now_s += took_s[used[-1]]
            callback.on_train_batch_end()
        return used


def test_all_threads_are_used_while_they_are_quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, callback = Clock(monkeypatch), QuickestThreads()
    assert clock.train(callback, {2: 0.3, 1: 0.4}, 300) == [2, 2, 1, 1, *[2] * 296]


def test_one_thread_is_used_beside_other_work_until_that_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, callback = Clock(monkeypatch), QuickestThreads()
    used = clock.train(callback, {2: 8.0, 1: 0.5}, 500)
    assert used[:6] == [2, 2, 1, 1, 1, 1]
    tries = [step for step, count in enumerate(used) if count == 2][2:]
    assert len(tries) == 4  # once a minute
    used = clock.train(callback, {2: 0.3, 1: 0.5}, 300)
    assert used[-1] == 2 and used.count(1) < 130


def test_one_thread_is_used_once_other_work_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, callback = Clock(monkeypatch), QuickestThreads()
    clock.train(callback, {2: 0.3, 1: 0.4}, 50)
    used = clock.train(callback, {2: 8.0, 1: 0.5}, 20)
    assert used == [2, 2, *[1] * 18]
