"""The measurements of the comparison: equal answers first, then rates and latencies in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.end_to_end.load import Load, run_closed_loop, run_open_loop
from tests.benchmarks.end_to_end.offers import Offer
from tests.benchmarks.end_to_end.sides import Side
from tests.benchmarks.report import AnswersDifferError, Row

RECALL_TOLERANCE = 0.005
CHECK_CONCURRENCY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """How much is measured.

    Attributes:
        concurrency: Callers of each closed loop.
        duration_s: Time of each loop.
        round_count: How often each side has its turn.
    """

    concurrency: tuple[int, ...] = (1, 4, 16, 64)
    duration_s: float = 4.0
    round_count: int = 3


async def check_answers(sides: Mapping[str, Side], offers: Sequence[Offer]) -> list[Row]:
    """Matches every offer once by every side; this warms them up as well.

    Args:
        sides: By name; the first is what the others are compared to.
        offers: Whose products are in the catalogue.

    Returns:
        Recall@10 of each side: of the offer's own product, and of the first side's matches.

    Raises:
        AnswersDifferError: If the recall of the own product differs by more than half a point.
    """
    answers = {name: await _match_all(side, offers) for name, side in sides.items()}
    first = next(iter(answers.values()))
    rows: list[Row] = []
    for name, found in answers.items():
        own = [each.product_id in ids for each, ids in zip(offers, found, strict=True)]
        same = [len(set(a) & set(b)) / len(b) for a, b in zip(found, first, strict=True)]
        rows.append(
            {
                "side": name,
                "recall@10": float(np.mean(own)),
                "of the first side's ten": float(np.mean(same)),
            }
        )
    recalls = [float(row["recall@10"] or 0) for row in rows]
    if max(recalls) - min(recalls) > RECALL_TOLERANCE:
        raise AnswersDifferError(f"recall@10 differs by more than {RECALL_TOLERANCE}: {rows}")
    return rows


async def measure_closed(
    sides: Mapping[str, Side],
    offers: Sequence[Offer],
    plan: LoadPlan,
    say: Callable[[str], None],
) -> dict[str, dict[int, Load]]:
    """Returns the median round of each side at each concurrency; says each as it is measured."""
    loads: dict[str, dict[int, Load]] = {name: {} for name in sides}
    for concurrency in plan.concurrency:
        rounds: dict[str, list[Load]] = {name: [] for name in sides}
        for _ in range(plan.round_count):
            for name, side in sides.items():
                rounds[name].append(
                    await run_closed_loop(
                        side.match, offers, concurrency=concurrency, duration_s=plan.duration_s
                    )
                )
        for name, each in rounds.items():
            load = loads[name][concurrency] = median_load(each)
            say(f"{concurrency} callers, {name}: {load.rate:.1f}/s, p50 {load.p50_ms:.0f} ms")
    return loads


async def measure_open(
    sides: Mapping[str, Side], offers: Sequence[Offer], rates: Mapping[str, float], plan: LoadPlan
) -> dict[str, Load]:
    """Returns the median round of each side at a rate of its own, offers a second."""
    rounds: dict[str, list[Load]] = {name: [] for name in sides}
    for _ in range(plan.round_count):
        for name, side in sides.items():
            rounds[name].append(
                await run_open_loop(
                    side.match, offers, rate=rates[name], duration_s=plan.duration_s
                )
            )
    return {name: median_load(each) for name, each in rounds.items()}


def median_load(rounds: Sequence[Load]) -> Load:
    """Returns the medians of rounds; failures are added up."""

    def median(values: Sequence[float]) -> float:
        return float(np.median(values))

    return Load(
        rate=median([each.rate for each in rounds]),
        p50_ms=median([each.p50_ms for each in rounds]),
        p95_ms=median([each.p95_ms for each in rounds]),
        p99_ms=median([each.p99_ms for each in rounds]),
        failed_count=sum(each.failed_count for each in rounds),
    )


def load_rows(loads: Mapping[str, Mapping[int, Load]]) -> list[Row]:
    """Returns one row a concurrency and side, each beside the first side's rate."""
    first = next(iter(loads.values()))
    return [
        {
            "concurrency": concurrency,
            "side": name,
            "matches/s": load.rate,
            "first side / this": first[concurrency].rate / load.rate,
            "p50 ms": load.p50_ms,
            "p95 ms": load.p95_ms,
            "p99 ms": load.p99_ms,
            "failed": load.failed_count,
        }
        for concurrency in first
        for name, load in ((name, each[concurrency]) for name, each in loads.items())
    ]


async def _match_all(side: Side, offers: Sequence[Offer]) -> list[list[str]]:
    places = asyncio.Semaphore(CHECK_CONCURRENCY)

    async def match(offer: Offer) -> list[str]:
        async with places:
            return await side.match(offer)

    return await asyncio.gather(*map(match, offers))
