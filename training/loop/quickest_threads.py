"""How many threads a step is computed by: all, or one where that is quicker beside other work."""

from __future__ import annotations

import statistics
import time
from collections import deque
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

_TRY_AGAIN_S = 60.0
# Steps by all threads, and then by one, before it is known which is quicker.
_FIRST_STEPS = 2


class QuickestThreads(Callback):
    """Has each step computed by all threads of torch's, or by one while that is quicker.

    Threads that meet at every layer wait, at work, for one whose turn on a core has not come:
    beside another program a step of resnet10t took 8 s by two threads and .4 s by one. While one
    is used, a step by all is tried once a minute.
    """

    def __init__(self) -> None:
        """Takes the number of threads that torch has for all."""
        self._all = torch.get_num_threads()
        self._took_s: dict[int, deque[float]] = {n: deque(maxlen=3) for n in (self._all, 1)}
        self._step_count = 0
        self._start_s = self._next_try_s = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        """Takes the time."""
        self._start_s = time.monotonic()

    def on_train_batch_end(self, *_: Any) -> None:
        """Decides by how many threads the next step is computed."""
        end_s = time.monotonic()
        # The first by a number of threads takes longer: it is prepared for.
        if self._step_count not in (0, _FIRST_STEPS):
            self._took_s[torch.get_num_threads()].append(end_s - self._start_s)
        self._step_count += 1
        torch.set_num_threads(self._next_count(end_s))

    def _next_count(self, now_s: float) -> int:
        if self._step_count < 2 * _FIRST_STEPS:
            self._next_try_s = now_s + _TRY_AGAIN_S
            return self._all if self._step_count < _FIRST_STEPS else 1
        quickest = min(self._took_s, key=lambda count: statistics.median(self._took_s[count]))
        if quickest == 1 and now_s >= self._next_try_s:
            self._next_try_s = now_s + _TRY_AGAIN_S
            self._took_s[self._all].clear()
            return self._all
        return quickest
