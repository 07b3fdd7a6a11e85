"""The load generator: callers that wait for their answers, or offers that come as they please."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.end_to_end.offers import Offer

Match = Callable[[Offer], Awaitable[list[str]]]
LOOK_INTERVAL_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a side did under load.

    Attributes:
        rate: Latencys a second.
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
    """Lets callers send one offer after the other.

    What is measured begins when every caller has had an answer, and lasts until each has had two
    more on average: a slow side answers many callers all at once, or none.

    Args:
        match: Sends an offer, returns the matches.
        offers: Sent in turn, from the first again after the last.
        concurrency: Callers.
        duration_s: Least time that is measured.
    """
    source = itertools.cycle(offers)
    latencies_s: list[float] = []
    failed: list[Exception] = []
    has_ended = asyncio.Event()
    warm_counts = [0] * concurrency

    async def call(caller: int) -> None:
        while not has_ended.is_set():
            await _send(match, next(source), time.perf_counter(), latencies_s, failed)
            warm_counts[caller] += 1

    callers = [asyncio.create_task(call(caller)) for caller in range(concurrency)]
    while min(warm_counts) == 0:
        await asyncio.sleep(LOOK_INTERVAL_S)
    begin_s, first = time.perf_counter(), len(latencies_s)
    await asyncio.sleep(duration_s)
    while len(latencies_s) - first + len(failed) < 2 * concurrency:
        await asyncio.sleep(LOOK_INTERVAL_S)
    has_ended.set()
    counted, end_s = latencies_s[first:], time.perf_counter()
    await asyncio.gather(*callers)
    return _summarise(counted, failed, end_s - begin_s)


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
        tasks.append(asyncio.create_task(_send(match, next(source), due_s, latencies_s, failed)))
    await asyncio.gather(*tasks)
    return _summarise(latencies_s, failed, time.perf_counter() - begin_s)


async def _send(
    match: Match, offer: Offer, start_s: float, latencies_s: list[float], failed: list[Exception]
) -> None:
    try:
        await match(offer)
    except Exception as error:  # of gRPC or of HTTP: counted and shown, whatever it is
        failed.append(error)
        return
    latencies_s.append(time.perf_counter() - start_s)


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
