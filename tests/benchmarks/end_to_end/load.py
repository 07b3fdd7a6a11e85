"""The load generator: callers that wait for their answers, or offers that come as they please."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.end_to_end.offers import Offer

Match = Callable[[Offer], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a side did under load.

    Attributes:
        rate: Answers a second.
        p50_ms: Median latency.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
        failed_count: Offers that were answered with an error.
    """

    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    failed_count: int


async def run_closed_loop(
    match: Match, offers: Sequence[Offer], *, concurrency: int, duration_s: float
) -> Load:
    """Lets callers send one offer after the other; a fifth of the time more warms up first.

    Args:
        match: Sends an offer, returns the matches.
        offers: Sent in turn, from the first again after the last.
        concurrency: Callers.
        duration_s: Time that is measured.
    """
    source = itertools.cycle(offers)
    begin_s = time.perf_counter() + duration_s / 5
    end_s = begin_s + duration_s
    latencies_s: list[float] = []
    failed: list[Exception] = []

    async def call() -> None:
        while (start_s := time.perf_counter()) < end_s:
            await _send(match, source, start_s, (begin_s, end_s), latencies_s, failed)

    await asyncio.gather(*(call() for _ in range(concurrency)))
    return _summarise(latencies_s, failed, duration_s)


async def run_open_loop(
    match: Match, offers: Sequence[Offer], *, rate: float, duration_s: float
) -> Load:
    """Sends offers at random moments, whether or not those before are answered.

    Latency counts from the moment at which an offer was due, so that a side that falls behind does
    not look better for it.

    Args:
        match: Sends an offer, returns the matches.
        offers: Sent in turn, from the first again after the last.
        rate: Offers a second, on average.
        duration_s: Time in which they are sent.
    """
    source = itertools.cycle(offers)
    gaps_s = np.random.default_rng(0).exponential(1 / rate, max(1, round(rate * duration_s)))
    begin_s = time.perf_counter()
    latencies_s: list[float] = []
    failed: list[Exception] = []
    tasks = []
    for due_s in (begin_s + np.cumsum(gaps_s)).tolist():
        await asyncio.sleep(due_s - time.perf_counter())
        span_s = (begin_s, float("inf"))
        tasks.append(asyncio.create_task(_send(match, source, due_s, span_s, latencies_s, failed)))
    await asyncio.gather(*tasks)
    return _summarise(latencies_s, failed, time.perf_counter() - begin_s)


async def _send(
    match: Match,
    source: Iterator[Offer],
    start_s: float,
    span_s: tuple[float, float],
    latencies_s: list[float],
    failed: list[Exception],
) -> None:
    """Sends one offer; counts it when its answer comes within the span."""
    try:
        await match(next(source))
    except Exception as error:  # of gRPC or of HTTP: counted and shown, whatever it is
        failed.append(error)
        return
    now_s = time.perf_counter()
    if span_s[0] <= now_s <= span_s[1]:
        latencies_s.append(now_s - start_s)


def _summarise(
    latencies_s: Sequence[float], failed: Sequence[Exception], duration_s: float
) -> Load:
    if not latencies_s:
        raise RuntimeError(f"no offer was answered; the last error: {failed[-1:]}")
    p50, p95, p99 = (1e3 * np.quantile(latencies_s, (0.5, 0.95, 0.99))).tolist()
    return Load(
        rate=len(latencies_s) / duration_s,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        failed_count=len(failed),
    )
