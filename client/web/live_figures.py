"""What the service measured since it started: how much it did, and how long it took by stage."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from twinshelf.client.doctor.metrics import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long something took.

    Attributes:
        name: Of the method or the stage.
        count: How often it was done.
        rate_per_s: How often a second, since the service started; NaN when that is not known.
        mean_s: Seconds on average.
        median_s: Half took no longer, seconds.
        slow_s: 95 in 100 took no longer, seconds; infinite beyond the last bucket.
    """

    name: str
    count: int
    rate_per_s: float
    mean_s: float
    median_s: float
    slow_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFigures:
    """The figures of a service.

    Attributes:
        calls: By method, the most frequent first.
        stages: By stage of a match or a write, as the service names them.
        live_recall: Share of the exact best matches that the index found lately, 0 to 1; NaN
            before any was looked at.
    """

    calls: tuple[Timing, ...]
    stages: tuple[Timing, ...]
    live_recall: float


def read_figures(samples: Sequence[Sample], now_s: float | None = None) -> LiveFigures:
    """Reads the figures of a service from its metrics.

    Args:
        samples: The metrics.
        now_s: Unix time, seconds; None for now.
    """
    values = {each.name: each.value for each in samples if not each.labels}
    started_s = values.get("process_start_time_seconds", math.nan)
    uptime_s = (time.time() if now_s is None else now_s) - started_s
    calls = _timings(samples, "twinshelf_call_seconds", "method", uptime_s)
    return LiveFigures(
        calls=tuple(sorted(calls, key=lambda each: -each.count)),
        stages=tuple(_timings(samples, "twinshelf_stage_seconds", "stage", uptime_s)),
        live_recall=values.get("twinshelf_live_recall_ratio", math.nan),
    )


def _timings(samples: Sequence[Sample], metric: str, label: str, uptime_s: float) -> list[Timing]:
    """Adds up a histogram by one of its labels; rows without any observation are left out."""
    buckets: defaultdict[str, defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
    sums: defaultdict[str, float] = defaultdict(float)
    for each in samples:
        name = each.labels.get(label, "")
        if each.name == f"{metric}_bucket":
            buckets[name][float(each.labels["le"])] += each.value
        elif each.name == f"{metric}_sum":
            sums[name] += each.value
    return [
        Timing(
            name=name,
            count=int(count),
            rate_per_s=count / uptime_s if uptime_s > 0 else math.nan,
            mean_s=sums[name] / count,
            median_s=_quantile(row, 0.5),
            slow_s=_quantile(row, 0.95),
        )
        for name, row in buckets.items()
        if (count := row[math.inf])
    ]


def _quantile(buckets: dict[float, float], share: float) -> float:
    """Estimates a quantile as Prometheus does: evenly spread within a bucket."""
    wanted = share * buckets[math.inf]
    lower, below = 0.0, 0.0
    for upper, count in sorted(buckets.items()):
        if count >= wanted and count > below:
            return lower + (upper - lower) * (wanted - below) / (count - below)
        lower, below = upper, count
    return math.nan
