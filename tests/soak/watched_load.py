"""A steady load of matches and looks at the health check, in a thread; and when what was seen."""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.soak.load import MATCH
from tests.soak.offers import KINDS, requests_of

CALLS_PER_S: Final = 20
DEADLINE_S, SLOW_S = 15.0, 1.0
LOOK_S: Final = 0.05
STEADY_S: Final = 2.0
# A service that was away is looked for often, so that the figures are its own.
CHANNEL_OPTIONS: Final = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One match: when it was sent and ended (monotonic seconds), and its code."""

    sent_s: float
    ended_s: float
    code: str

    @property
    def is_bad(self) -> bool:
        """Whether it failed or was slow."""
        return self.code != "OK" or self.ended_s - self.sent_s > SLOW_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the health check said, and when."""

    ended_s: float
    is_serving: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What callers saw of a fault; seconds after it, None for never.

    Attributes:
        not_serving_s: When the health check first said so, or did not answer.
        fast_s: After this moment no caller waited longer than a second.
        again_s: When calls were served again, two seconds of them without a fault.
        longest_s: Longest that one caller waited.
        codes: How the calls after the fault ended.
    """

    not_serving_s: float | None
    fast_s: float | None
    again_s: float | None
    longest_s: float
    codes: dict[str, int]


class WatchedLoad:
    """The load, from the beginning of the block to its end."""

    def __init__(self, address: str) -> None:
        """Takes host:port of the service."""
        self._address = address
        self._ends = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._open: set[float] = set()
        self.calls: list[Call] = []
        self.looks: list[Look] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.join()

    def is_over(self, fault_s: float) -> bool:
        """Whether a fault was seen and is over, or was not noticed at all."""
        return served_again_s(self.calls, self._open, fault_s) is not None

    def sight(self, fault_s: float) -> Sight:
        """Returns what was seen of a fault at this moment."""
        after = [call for call in self.calls if call.sent_s >= fault_s]
        alarms = [look.ended_s for look in self.looks if not look.is_serving]
        alarm_s = next((ended_s for ended_s in alarms if ended_s >= fault_s), None)
        again_s = served_again_s(self.calls, self._open, fault_s)
        slow = [call.sent_s - fault_s for call in after if call.ended_s - call.sent_s > SLOW_S]
        return Sight(
            not_serving_s=None if alarm_s is None else round(alarm_s - fault_s, 2),
            fast_s=round(max(slow, default=0.0), 2),
            again_s=again_s,
            longest_s=round(max((c.ended_s - c.sent_s for c in after), default=0.0), 2),
            codes=dict(Counter(call.code for call in after)),
        )

    async def _run(self) -> None:
        async with grpc.aio.insecure_channel(self._address, options=CHANNEL_OPTIONS) as channel:
            method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(MATCH)
            bodies = itertools.cycle(
                body
                for bodies in zip(*(requests_of(kind, 40) for kind in KINDS), strict=True)
                for body in bodies
            )
            looking = asyncio.ensure_future(self._look(health_pb2_grpc.HealthStub(channel)))
            running: set[asyncio.Task[None]] = set()
            start_s = time.monotonic()
            for number in itertools.count():
                if self._ends.is_set():
                    break
                task = asyncio.ensure_future(self._call(method, next(bodies)))
                running.add(task)
                task.add_done_callback(running.discard)
                await asyncio.sleep(max(0.0, start_s + number / CALLS_PER_S - time.monotonic()))
            looking.cancel()
            for task in running:
                task.cancel()
            await asyncio.gather(looking, *running, return_exceptions=True)

    async def _call(self, method: grpc.aio.UnaryUnaryMultiCallable, body: bytes) -> None:
        sent_s = time.monotonic()
        self._open.add(sent_s)
        try:
            await method(body, timeout=DEADLINE_S)
            code = "OK"
        except grpc.aio.AioRpcError as error:
            code = error.code().name
        self._open.discard(sent_s)
        self.calls.append(Call(sent_s=sent_s, ended_s=time.monotonic(), code=code))

    async def _look(self, stub: health_pb2_grpc.HealthStub) -> None:
        while True:
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
                is_serving = answer.status == health_pb2.HealthCheckResponse.SERVING
            except grpc.aio.AioRpcError:
                is_serving = False
            self.looks.append(Look(ended_s=time.monotonic(), is_serving=is_serving))
            await asyncio.sleep(LOOK_S)


def served_again_s(calls: Sequence[Call], open_since_s: set[float], fault_s: float) -> float | None:
    """Returns the seconds after a fault at which two good seconds began; None while there are none.

    A fault that nobody notices within its first two seconds is over at once. What was sent behind a
    call that has not ended does not count yet: that call may turn out to be a bad one.
    """
    first_open_s = min(set(open_since_s), default=math.inf)
    bad = [call.sent_s for call in calls if call.sent_s >= fault_s and call.is_bad]
    last_bad_s = max(bad, default=fault_s)
    good = [c.sent_s for c in calls if last_bad_s < c.sent_s < first_open_s and not c.is_bad]
    if not good or max(good) - min(good) < STEADY_S:
        return None
    return round(min(good) - fault_s, 2) if bad else 0.0
