"""Estimates the F1 of a finished pair scorer where no test half is at hand.

Run: python -m tests.benchmarks.quality.pair_estimate --run runs/pairs

The scores are those of the validation pairs from before the scorer learnt from them. The threshold
is fitted on one half of the pairs and F1 taken on the other, over many random halves: a threshold
tried on the pairs that it was fitted on would look better than it is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twinshelf.training.evaluation.intervals import Estimate
from twinshelf.training.files import write_atomically
from twinshelf.training.pairs.blend import measure_pairs, read_validation
from twinshelf.training.pairs.scorer import best_threshold

ESTIMATE = "estimate.json"
HALF_COUNT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEstimate:
    """F1 of pairs over random halves.

    Attributes:
        f1: Mean with the 5th and 95th percentile.
        half_count: Halves that had matches and non-matches on both sides.
        pair_count: Pairs scored.
    """

    f1: Estimate
    half_count: int
    pair_count: int


def estimate_f1(
    labels: npt.ArrayLike, probabilities: npt.NDArray[np.float64], *, seed: int = 42
) -> PairEstimate:
    """Returns the F1 on one half of the pairs at the best threshold of the other.

    Args:
        labels: Whether a pair is a match, bool (P,).
        probabilities: Probability of a match, 0 to 1, (P,).
        seed: Seed of the halves, which are drawn by class.

    Raises:
        ValueError: If there are fewer than two matches or two non-matches.
    """
    y = np.asarray(labels, dtype=bool)
    matches, others = np.flatnonzero(y), np.flatnonzero(~y)
    if min(len(matches), len(others)) < 2:
        raise ValueError(
            f"halves need two matches and two non-matches, got {len(matches)} and {len(others)}"
        )
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(HALF_COUNT):
        half = np.zeros(len(y), dtype=bool)
        for rows in (matches, others):
            half[generator.permutation(rows)[: len(rows) // 2]] = True
        threshold, _ = best_threshold(y[half], probabilities[half])
        found.append(measure_pairs(y[~half], probabilities[~half], threshold).f1)
    low, high = np.percentile(found, [5, 95])
    return PairEstimate(
        f1=Estimate(value=float(np.mean(found)), low=float(low), high=float(high)),
        half_count=len(found),
        pair_count=len(y),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Estimates as the command line says; returns 0, or 1 when the files cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality.pair_estimate",
        description="Estimate the F1 of a pair scorer over random halves of its validation pairs.",
    )
    parser.add_argument("--run", type=Path, required=True, help="folder of the trained scorer")
    parser.add_argument("--seed", type=int, default=42, help="seed (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        found = estimate_f1(*read_validation(options.run), seed=options.seed)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"estimating the pair scorer failed: {error}\n")
        return 1
    path = options.run / ESTIMATE
    write_atomically(path, json.dumps(asdict(found), indent=2) + "\n")
    sys.stdout.write(
        f"F1 {found.f1.value:.3f} ({found.f1.low:.3f}–{found.f1.high:.3f}) over "
        f"{found.half_count} halves of {found.pair_count} pairs, saved in {path}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
