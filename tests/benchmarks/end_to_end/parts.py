"""The parts of matching, each run alone in one thread: what an ideal server would be bound by."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.end_to_end.offers import Offer
from twinshelf.server.encoders.published_version import PublishedVersion
from twinshelf.server.encoders.python_model import bytes_column

WARM_UP_COUNT = 3


def time_parts(repository: Path, version: int, offers: Sequence[Offer]) -> dict[str, float]:
    """Runs every step of both encoders on one offer after the other.

    Args:
        repository: Model repository.
        version: Version in it.
        offers: More than `WARM_UP_COUNT`; the first do not count.

    Returns:
        Median time of each step, milliseconds, by the name of its model.
    """
    ensembles = ("image_encoder", "text_encoder")
    published = PublishedVersion(repository, version, ensembles, thread_count=1)
    times_s: dict[str, list[float]] = {}
    for offer in offers:
        values = (("IMAGE", offer.image), ("TEXT", offer.title.encode()))
        for ensemble, (name, value) in zip(ensembles, values, strict=True):
            tensors = {name: bytes_column([value])}
            for step in published.configs[ensemble].ensemble_scheduling.step:
                given = {own: tensors[shared] for own, shared in step.input_map.items()}
                start_s = time.perf_counter()
                answer = published.models[step.model_name].run(given)
                times_s.setdefault(step.model_name, []).append(time.perf_counter() - start_s)
                tensors |= {shared: answer[own] for own, shared in step.output_map.items()}
    return {name: 1e3 * float(np.median(each[WARM_UP_COUNT:])) for name, each in times_s.items()}


def ideal_rate(parts_ms: dict[str, float]) -> float:
    """Returns the offers a second if all cores did nothing but the parts."""
    return len(os.sched_getaffinity(0)) * 1e3 / sum(parts_ms.values())
