"""Calls that are refused here, while the service refuses most of those it is sent.

A refusal costs the service a good part of what a small answer costs it: far above its peak it
would be busy with refusing. So the clients do that themselves.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

# So many calls are sent for each that is accepted. With fewer, what becomes free would not be
# found. With 1.5 and 2 the service refused more itself, and answered a tenth fewer at ten times its
# peak.
_SENT_PER_ACCEPTED: Final = 1.2
# A few refusals are no overload: whoever calls now and then repeats at the time that he was told.
_SPARE: Final = 2.0
# What came of calls longer ago says nothing any more: a service that is free is soon used again.
WINDOW_S: Final = 0.25
_BUCKET_S: Final = 0.025


class Throttle:
    """Which of a client's calls are sent, by what came of those before them.

    A call is refused here with the probability (n - 1.2 a - 2) / (n + 1), at least 0. n calls ended
    in the last quarter second, those refused here included; the service accepted a of them. Before
    the first answers nothing is known. Any thread may use it.

    Source: "Handling Overload" in Site Reliability Engineering (Beyer and others, 2016), there
    with 2 in place of 1.2, without the last 2, and with n calls begun.
    """

    def __init__(
        self, randomness: random.Random, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Starts with nothing known.

        Args:
            randomness: What chooses the calls that are refused.
            clock: Seconds of a clock that never goes back.
        """
        self._randomness = randomness
        self._clock = clock
        self._lock = threading.Lock()
        # When each stretch began, the calls that ended in it, and the accepted among them.
        self._buckets: deque[list[float]] = deque()
        self._ended = self._accepted = 0.0

    def refuses(self) -> bool:
        """Tells whether the call that is to be made now must not be sent, and counts it if so."""
        with self._lock:
            self._forget()
            excess = self._ended - _SENT_PER_ACCEPTED * self._accepted - _SPARE
            is_refused = self._randomness.random() * (self._ended + 1) < excess
            if is_refused:
                self._count(is_accepted=False)
            return is_refused

    def learn(self, *, is_accepted: bool) -> None:
        """Takes what came of a call that was sent.

        Args:
            is_accepted: False where the service was too busy; true whatever else it answered.
        """
        with self._lock:
            self._forget()
            self._count(is_accepted=is_accepted)

    def _count(self, *, is_accepted: bool) -> None:
        now_s = self._clock()
        if not self._buckets or now_s - self._buckets[-1][0] >= _BUCKET_S:
            self._buckets.append([now_s, 0, 0])
        self._buckets[-1][1] += 1
        self._buckets[-1][2] += is_accepted
        self._ended += 1
        self._accepted += is_accepted

    def _forget(self) -> None:
        oldest_s = self._clock() - WINDOW_S
        while self._buckets and self._buckets[0][0] <= oldest_s:
            _, ended, accepted = self._buckets.popleft()
            self._ended -= ended
            self._accepted -= accepted
