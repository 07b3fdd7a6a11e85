"""Timing sides in turn, so that what else a machine does slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

ROUND_COUNT = 5


def time_in_turn(
    sides: Mapping[str, Callable[[], object]], *, round_count: int = ROUND_COUNT
) -> dict[str, float]:
    """Runs every side once a round, after a round that does not count.

    Args:
        sides: What to run, by name.
        round_count: Rounds that count, 1 or more.

    Returns:
        The median time of each side, seconds.
    """
    times_s: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(round_count + 1):
        for name, run in sides.items():
            start_s = time.perf_counter()
            run()
            times_s[name].append(time.perf_counter() - start_s)
    return {name: float(np.median(each[1:])) for name, each in times_s.items()}
