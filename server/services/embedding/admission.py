"""Admission: how much work the encoder is given at once, who waits for it, and who is refused.

Work is counted in cost: 1 is a short text, or a small photo. What may be in flight follows the
latency that is measured, as TCP Vegas does with packets: it grows while an answer takes hardly
longer than on an idle encoder, and shrinks once answers wait for one another.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import DeadlineTooShortError, ServerBusyError

# An answer may take this many times what it takes alone before less is sent. Batches need some.
_TOLERANCE: Final = 2.0
# In flight beyond what the latency asks for; without it, nothing would ever be learnt anew.
_HEADROOM: Final = 16.0
_SMOOTHING: Final = 0.1
# The latency of an idle encoder may have grown (a busier machine): believed a little more a second.
_BASELINE_GROWTH_PER_S: Final = 0.005
# Above it, work goes one at a time: a photo of a second must not keep ten others from being read.
HEAVY_COST: Final = 8.0
# Callers that stream wait without being refused; of so many starts, one is theirs.
_PATIENT_TURN: Final = 4
# Estimates are off by this much before a caller's deadline is thought to be safe: of an answer, and
# of the wait before it. Under overload the loop itself falls behind, which no estimate sees, and a
# queue that is longer than bursts need answers nobody more: it makes all answers late.
_ANSWER_MARGIN: Final = 1.25
_WAIT_MARGIN: Final = 4.0
_SHORTEST_RETRY_S: Final = 0.05
# What a kind of work took before that says nothing: who is refused for it teaches nothing either.
_MEMORY_S: Final = 10.0
# Modalities, and the cost by powers of two.
_Kind = tuple[Pattern, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be embedded for one offer or product.

    Attributes:
        pattern: Its modalities.
        cost: How much computing it takes, from `costs`; 1 or so is ordinary.
        is_patient: Whether it may wait as long as it takes, as the messages of a stream do.
        deadline_s: When its caller will have gone, by `time.monotonic`; None never.
    """

    pattern: Pattern
    cost: float
    is_patient: bool = False
    deadline_s: float | None = None

    @property
    def is_heavy(self) -> bool:
        """Whether it goes one at a time."""
        return self.cost > HEAVY_COST


_SMALLEST: Final = Work(pattern=Pattern.TEXT, cost=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionConfig:
    """The bounds of admission; see `ServerConfig` for their meaning."""

    in_flight_limit: float
    waiting_limit: int
    wait_limit_s: float


@dataclass(slots=True, kw_only=True)
class _Waiter:
    work: Work
    turn: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class _Lane:
    """Those who wait for places of one kind: callers of streams, and the others, who take turns.

    Whose turn it is keeps it until its work fits: what is cheaper would take every place else.
    """

    def __init__(self) -> None:
        self._prompt: deque[_Waiter] = deque()
        self._patient: deque[_Waiter] = deque()
        self.prompt_cost = 0.0
        self.start_count = 0

    def __len__(self) -> int:
        return len(self._prompt) + len(self._patient)

    @property
    def prompt_count(self) -> int:
        """Those who wait and are not patient."""
        return len(self._prompt)

    def first(self) -> _Waiter | None:
        """Whose turn it is; None while nobody waits."""
        order = [self._prompt, self._patient]
        if self.start_count % _PATIENT_TURN == 0:
            order.reverse()
        return next((queue[0] for queue in order if queue), None)

    def add(self, waiter: _Waiter) -> None:
        """Lets somebody wait."""
        if waiter.work.is_patient:
            self._patient.append(waiter)
        else:
            self._prompt.append(waiter)
            self.prompt_cost += _charge(waiter.work)

    def remove(self, waiter: _Waiter) -> bool:
        """Takes somebody out; returns whether they waited."""
        queue = self._patient if waiter.work.is_patient else self._prompt
        if waiter not in queue:
            return False
        queue.remove(waiter)
        if queue is self._prompt:
            self.prompt_cost -= _charge(waiter.work)
        return True

    def empty(self) -> list[_Waiter]:
        """Takes all out."""
        waiters = [*self._prompt, *self._patient]
        self._prompt.clear()
        self._patient.clear()
        self.prompt_cost = 0.0
        return waiters


class Admission:
    """Places for work in flight, and the lanes before them. Belongs to one event loop."""

    def __init__(
        self, config: AdmissionConfig, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Takes the bounds.

        Args:
            config: The bounds.
            clock: Seconds of a clock that never goes back; `Work.deadline_s` is by the same.
        """
        self._config = config
        self._clock = clock
        self._ordinary, self._heavy = _Lane(), _Lane()
        self._in_flight = 0.0
        self._in_flight_count = 0
        self._heavy_count = 0
        self._latency = _Latency()
        self._limit = min(2 * _HEADROOM, config.in_flight_limit)

    @property
    def limit(self) -> float:
        """Cost that may be in flight now."""
        return self._limit

    @property
    def in_flight(self) -> float:
        """Cost in flight."""
        return self._in_flight

    @property
    def waiting_count(self) -> int:
        """Offers and products that wait."""
        return len(self._ordinary) + len(self._heavy)

    def expected_answer_s(self) -> float:
        """Seconds until a small offer that comes now would be answered, with a margin.

        0 where it would not wait: it is tried then, for how long it takes may be known no more.

        Raises:
            ServerBusyError: If none would be let in now.
        """
        if not self.must_wait(_SMALLEST):
            return 0.0
        self._check(_SMALLEST)
        return self._needed_s(_SMALLEST, self._expected_wait_s(_SMALLEST))

    def must_wait(self, work: Work) -> bool:
        """Whether no place is free for work that comes now."""
        return len(self._lane_of(work)) > 0 or not self._fits(work)

    async def enter(self, work: Work) -> Place:
        """Waits for a place; whoever is cancelled meanwhile leaves the lane.

        Raises:
            ServerBusyError: If the wait would be too long.
            DeadlineTooShortError: If the answer would come after the caller's deadline.
        """
        if self.must_wait(work):
            self._check(work)
            await self._wait(work)
        else:
            self._begin(work)
        return Place(self, work, self._clock())

    def turn_away(self, make_error: Callable[[], Exception]) -> None:
        """Ends the wait of all who wait, each with an error of its own."""
        for waiter in (*self._ordinary.empty(), *self._heavy.empty()):
            if not waiter.turn.done():
                waiter.turn.set_exception(make_error())

    def leave(self, work: Work, latency_s: float, *, is_measured: bool) -> None:
        """Gives a place back; called by `Place` alone."""
        was_full = self._in_flight >= 0.5 * self._limit
        self._in_flight_count -= 1
        # Counted apart, for sums of fractions do not come back to zero.
        self._in_flight = self._in_flight - _charge(work) if self._in_flight_count else 0.0
        self._heavy_count -= work.is_heavy
        if is_measured:
            excess = self._latency.learn(work, latency_s, self._clock())
            self._adapt(excess, was_full=was_full)
        self._start_waiting()

    def _check(self, work: Work) -> None:
        if work.is_patient:
            return
        wait_s = self._expected_wait_s(work)
        retry_after_s = max(wait_s, _SHORTEST_RETRY_S)
        config = self._config
        # Those who are never refused must not fill the queue of those who are.
        waiting_count = self._ordinary.prompt_count + self._heavy.prompt_count
        if wait_s > config.wait_limit_s or waiting_count >= config.waiting_limit:
            raise ServerBusyError(
                f"{waiting_count} requests wait already, about {wait_s:.2f} s of work; "
                "repeat the request later",
                retry_after_s=retry_after_s,
            )
        if self._is_too_late(work, wait_s):
            raise DeadlineTooShortError(
                f"the answer would take about {wait_s + self._expected_s(work):.2f} s, "
                "longer than the deadline of the request leaves; allow more time",
                retry_after_s=retry_after_s,
            )

    def _is_too_late(self, work: Work, wait_s: float) -> bool:
        if work.deadline_s is None:
            return False
        return work.deadline_s - self._clock() < self._needed_s(work, wait_s)

    def _needed_s(self, work: Work, wait_s: float) -> float:
        margin = _ANSWER_MARGIN if work.is_heavy else _WAIT_MARGIN
        return _ANSWER_MARGIN * self._expected_s(work) + margin * wait_s

    def _expected_s(self, work: Work) -> float:
        return self._latency.expected_s(work, self._clock())

    def _expected_wait_s(self, work: Work) -> float:
        """How long prompt work would wait behind what is in flight, and its like before it."""
        if work.is_heavy:
            return (self._heavy.prompt_count + self._heavy_count) * self._expected_s(work)
        excess = self._in_flight + self._ordinary.prompt_cost + _charge(work) - self._limit
        # Little's law: what is in flight leaves at the rate limit / latency.
        return max(0.0, excess) * self._latency.mean_s / self._limit

    def _lane_of(self, work: Work) -> _Lane:
        return self._heavy if work.is_heavy else self._ordinary

    def _fits(self, work: Work) -> bool:
        if work.is_heavy:
            return self._heavy_count == 0
        return self._in_flight_count == 0 or self._in_flight + _charge(work) <= self._limit

    async def _wait(self, work: Work) -> None:
        lane, waiter = self._lane_of(work), _Waiter(work=work)
        lane.add(waiter)
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled() and not waiter.turn.exception():
                self.leave(work, 0.0, is_measured=False)  # the turn came as the caller left
            elif lane.remove(waiter):
                self._start_waiting()  # those behind it may fit
            raise

    def _start_waiting(self) -> None:
        # Heavy work starts whatever else is in flight: before the others, it could leave them none.
        for lane in (self._ordinary, self._heavy):
            while (waiter := lane.first()) is not None and self._fits(waiter.work):
                lane.remove(waiter)
                if waiter.turn.done():
                    continue
                if self._is_too_late(waiter.work, 0.0):
                    waiter.turn.set_exception(
                        DeadlineTooShortError(
                            "the request waited too long to be answered before its deadline",
                            retry_after_s=_SHORTEST_RETRY_S,
                        )
                    )
                    continue
                self._begin(waiter.work)
                waiter.turn.set_result(None)

    def _begin(self, work: Work) -> None:
        self._in_flight += _charge(work)
        self._in_flight_count += 1
        self._heavy_count += work.is_heavy
        self._lane_of(work).start_count += 1

    def _adapt(self, excess: float, *, was_full: bool) -> None:
        """Moves the limit by how many times longer than alone answers take.

        Source: Gradient2 of Netflix' concurrency-limits, after TCP Vegas.
        """
        gradient = min(1.0, max(0.5, _TOLERANCE / excess))
        wanted = self._limit * gradient + _HEADROOM
        if wanted > self._limit and not was_full:
            return  # nothing was learnt of a limit that was not reached
        limit = (1 - _SMOOTHING) * self._limit + _SMOOTHING * wanted
        self._limit = min(limit, self._config.in_flight_limit)


class Place:
    """A place in flight; whoever has it must give it back."""

    def __init__(self, admission: Admission, work: Work, start_s: float) -> None:
        """Is made by `Admission.enter`."""
        self._admission: Admission | None = admission
        self._work = work
        self._start_s = start_s

    def leave(self, end_s: float, *, is_measured: bool) -> None:
        """Gives the place back; a repeat has no effect.

        Args:
            end_s: When the work was done, by `time.monotonic`.
            is_measured: Whether that says how long such work takes; an error does not.
        """
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.leave(self._work, end_s - self._start_s, is_measured=is_measured)


class _Latency:
    """How long work of each kind takes, now and when there is little of it."""

    def __init__(self) -> None:
        self._idle_s: dict[_Kind, float] = {}
        self._now_s: dict[_Kind, float] = {}
        self._learnt_at: dict[_Kind, float] = {}
        self._excess = 1.0
        self.mean_s = 0.0

    def learn(self, work: Work, latency_s: float, now: float) -> float:
        """Takes a measurement; returns how many times longer than alone answers take now."""
        kind = _kind(work)
        latency_s = max(latency_s, 1e-4)
        last_s = self._lately_s(kind, now)
        elapsed_s = now - self._learnt_at.get(kind, now)
        self._learnt_at[kind] = now
        idle_s = self._idle_s.get(kind, latency_s) * (1 + _BASELINE_GROWTH_PER_S * elapsed_s)
        self._idle_s[kind] = min(idle_s, latency_s)
        self._now_s[kind] = _smoothed(last_s, latency_s)
        if not work.is_heavy:
            self._excess = _smoothed(self._excess, latency_s / self._idle_s[kind])
            self.mean_s = _smoothed(self.mean_s or None, latency_s)
        return self._excess

    def expected_s(self, work: Work, now: float) -> float:
        """How long work would take; as all work does where nothing is known of its kind."""
        lately_s = self._lately_s(_kind(work), now)
        return self.mean_s if lately_s is None else lately_s

    def _lately_s(self, kind: _Kind, now: float) -> float | None:
        is_known = now - self._learnt_at.get(kind, -math.inf) < _MEMORY_S
        return self._now_s[kind] if is_known else None


def _kind(work: Work) -> _Kind:
    return work.pattern, round(math.log2(max(work.cost, 1.0)))


def _smoothed(old: float | None, new: float) -> float:
    return new if old is None else (1 - _SMOOTHING) * old + _SMOOTHING * new


def _charge(work: Work) -> float:
    """What work counts among all in flight; heavy work is bounded by being one at a time."""
    return min(work.cost, HEAVY_COST)
