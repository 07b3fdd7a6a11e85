"""Closed and open loops of matches over `wire`, and what came of each call."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import grpc
import numpy as np

from tests.soak import frames
from tests.soak.report import quantile_ms
from tests.soak.wire import WireCall, WireConnection, connect
from twinshelf.client.throttle import Throttle

MATCH: Final = "/twinshelf.v1.MatchingService/MatchProduct"
DEADLINE_S: Final = 1.0
CONNECTION_COUNT: Final = 4
OK, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED = 0, 4, 8
CODE_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}
_TICK_S: Final = 0.001


@dataclass(slots=True)
class Outcomes:
    """What became of the calls of one load; latencies are of the wire, in seconds."""

    sent_count: int = 0
    latencies_s: dict[int, list[float]] = field(default_factory=dict)
    good_ends_s: list[float] = field(default_factory=list)
    lags_s: list[float] = field(default_factory=list)
    start_s: float = field(default_factory=time.monotonic)
    cpu_s: float = 0.0
    wall_s: float = 0.0

    def add(self, code: int, latency_s: float) -> None:
        """Takes a call that has just ended."""
        self.latencies_s.setdefault(code, []).append(latency_s)
        if code == OK and latency_s <= DEADLINE_S:
            self.good_ends_s.append(time.monotonic() - self.start_s)

    @property
    def good_latencies_s(self) -> list[float]:
        """Those of the answers within the deadline."""
        return [each for each in self.latencies_s.get(OK, []) if each <= DEADLINE_S]

    @property
    def refusal_latencies_s(self) -> list[float]:
        """Those of all that the service refused: neither answered nor out of time."""
        kept = {code: all_ for code, all_ in self.latencies_s.items() if code not in (OK, 4)}
        return [latency for all_ in kept.values() for latency in all_]

    def goodput_per_s(self, duration_s: float) -> float:
        """Returns answers within the deadline a second, while the load lasts.

        The first second is left out, in which an overload only fills the queue, and what comes
        after the load, which drains it.
        """
        lead_s = min(1.0, duration_s / 4)
        count = sum(lead_s < end_s <= duration_s for end_s in self.good_ends_s)
        return round(count / (duration_s - lead_s), 1)

    def as_document(self, duration_s: float) -> dict[str, Any]:
        """Returns the figures, for a load of this many seconds."""
        good, refused = self.good_latencies_s, self.refusal_latencies_s
        counts = Counter({CODE_NAMES[code]: len(all_) for code, all_ in self.latencies_s.items()})
        return {
            "offered_per_s": round(self.sent_count / duration_s, 1),
            "goodput_per_s": self.goodput_per_s(duration_s),
            "codes": dict(counts),
            "answer_p50_ms": quantile_ms(good, 0.5),
            "answer_p99_ms": quantile_ms(good, 0.99),
            "refusal_p50_ms": quantile_ms(refused, 0.5),
            "refusal_p99_ms": quantile_ms(refused, 0.99),
            "generator_lag_p99_ms": quantile_ms(self.lags_s, 0.99),
            "generator_cpu_share": round(self.cpu_s / max(self.wall_s, 1e-9), 3),
        }


@contextlib.asynccontextmanager
async def connections(address: str, count: int) -> AsyncIterator[list[WireConnection]]:
    """Opens connections to host:port and closes them."""
    opened = [await connect(address) for _ in range(count)]
    try:
        yield opened
    finally:
        for each in opened:
            each.close()


async def closed_loop(
    address: str, bodies: Sequence[bytes], *, caller_count: int, duration_s: float
) -> Outcomes:
    """Callers that each send again as soon as they are answered."""
    headers = frames.header_block(MATCH, address, timeout_ms=round(DEADLINE_S * 1000))
    outcomes, end_s = Outcomes(), time.monotonic() + duration_s
    async with connections(address, min(CONNECTION_COUNT, caller_count)) as opened:
        done = asyncio.Event()
        live = caller_count

        def send(number: int) -> None:
            connection = opened[number % len(opened)]
            body = bodies[outcomes.sent_count % len(bodies)]
            outcomes.sent_count += 1

            def answered(call: WireCall, code: int) -> None:
                nonlocal live
                now_s = time.monotonic()
                outcomes.add(code, now_s - call.tag)
                if now_s < end_s:
                    # A refusal is no reason to ask again at once: that would measure refusals.
                    pause_s = 0.0 if code == OK else 0.02
                    asyncio.get_running_loop().call_later(pause_s, send, number)
                else:
                    live -= 1
                    if live == 0:
                        done.set()

            connection.start(headers, body, answered, tag=time.monotonic())

        with _clock(outcomes):
            for number in range(caller_count):
                send(number)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(done.wait(), duration_s + 5 * DEADLINE_S)
    return outcomes


async def open_loop(
    address: str,
    bodies: Sequence[bytes],
    *,
    rate_per_s: float,
    duration_s: float,
    throttles: Sequence[Throttle] = (),
    seed: int = 0,
) -> Outcomes:
    """Arrivals at random moments (Poisson), whatever the service does; each has its deadline.

    Args:
        address: Of the service.
        bodies: Requests, each with its prefix, sent in turn.
        rate_per_s: Arrivals a second.
        duration_s: How long they come, seconds.
        throttles: One of each client, which send in turn; none sends all, as a plain stub does.
        seed: Draws the moments.
    """
    chance = np.random.default_rng(seed)
    gaps = chance.exponential(1 / rate_per_s, size=round(rate_per_s * duration_s * 1.5) + 20)
    arrivals_s = np.cumsum(gaps)
    arrivals_s = arrivals_s[arrivals_s < duration_s].tolist()
    headers = frames.header_block(MATCH, address, timeout_ms=round(DEADLINE_S * 1000))
    outcomes = Outcomes()
    running: deque[tuple[float, WireConnection, WireCall]] = deque()

    def ended(throttle: Throttle | None, call: WireCall, code: int) -> None:
        outcomes.add(code, time.monotonic() - call.tag)
        if throttle is not None:
            throttle.learn(is_accepted=code != RESOURCE_EXHAUSTED)

    def expire(now_s: float) -> None:
        """Gives up, as every client does at its deadline."""
        while running and running[0][0] <= now_s:
            _, connection, call = running.popleft()
            if connection.cancel(call):
                call.on_end(call, DEADLINE_EXCEEDED)

    async with connections(address, CONNECTION_COUNT) as opened:
        with _clock(outcomes):
            start_s = outcomes.start_s
            for arrival_s in arrivals_s:
                while (now_s := time.monotonic()) - start_s < arrival_s:
                    await asyncio.sleep(min(_TICK_S, arrival_s - (now_s - start_s)))
                    expire(time.monotonic())
                if outcomes.sent_count % 32 == 0:
                    await asyncio.sleep(0)
                outcomes.lags_s.append(now_s - start_s - arrival_s)
                number = outcomes.sent_count
                outcomes.sent_count += 1
                throttle = throttles[number % len(throttles)] if throttles else None
                if throttle is not None and throttle.refuses():
                    outcomes.add(RESOURCE_EXHAUSTED, time.monotonic() - now_s)
                    continue
                connection = opened[number % len(opened)]
                body = bodies[number % len(bodies)]
                call = connection.start(headers, body, partial(ended, throttle), tag=now_s)
                running.append((now_s + DEADLINE_S, connection, call))
        await _finish(running, expire)
    return outcomes


async def probe(
    address: str, body: bytes, *, normal_s: float, timeout_s: float = 20.0
) -> float | None:
    """Returns the seconds until three answers in a row come as fast as usual; None if never."""
    headers = frames.header_block(MATCH, address, timeout_ms=round(DEADLINE_S * 1000))
    start_s = time.monotonic()
    first_s: float | None = None
    in_a_row = 0
    async with connections(address, 1) as (connection,):
        while time.monotonic() - start_s < timeout_s:
            began_s = time.monotonic()
            code = await ask(connection, headers, body)
            is_normal = code == OK and time.monotonic() - began_s <= 2 * normal_s + 0.005
            if is_normal:
                first_s = began_s - start_s if first_s is None else first_s
                in_a_row += 1
                if in_a_row == 3:
                    return first_s
            else:
                first_s, in_a_row = None, 0
                await asyncio.sleep(0.01)
    return None


async def ask(
    connection: WireConnection, headers: bytes, body: bytes, timeout_s: float = DEADLINE_S
) -> int:
    """Returns the code of one call, cancelled at its deadline."""
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def settle(call: WireCall, code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    call = connection.start(headers, body, settle)
    try:
        return await asyncio.wait_for(ended, timeout_s)
    except TimeoutError:
        connection.cancel(call)
        return DEADLINE_EXCEEDED


async def _finish(
    running: deque[tuple[float, WireConnection, WireCall]], expire: Callable[[float], None]
) -> None:
    while running:
        await asyncio.sleep(_TICK_S)
        expire(time.monotonic())


@contextlib.contextmanager
def _clock(outcomes: Outcomes) -> Iterator[None]:
    cpu_s, outcomes.start_s = time.process_time(), time.monotonic()
    yield
    outcomes.cpu_s = time.process_time() - cpu_s
    outcomes.wall_s = time.monotonic() - outcomes.start_s
