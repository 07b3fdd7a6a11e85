"""What is tuned on one half of the queries and judged on the other: curve and thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.calibration import Calibration, Curve, Method, fit_curve, fit_threshold
from training.evaluation.row_f1 import MatchLists, best_row_threshold
from training.evaluation.scored_pairs import ScoredPairs, best_f1_threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What was tuned for one modality pattern.

    Attributes:
        curve: Score to probability.
        match_threshold: Lowest score at which matches reach the target precision.
        pair_threshold: Score with the best F1 of pairs.
        row_threshold: Score with the best F1 per row.
    """

    curve: Curve
    match_threshold: float
    pair_threshold: float
    row_threshold: float


def split_halves(clusters: Sequence[str], seed: int) -> npt.NDArray[np.bool_]:
    """Draws half of the clusters, rounded down; returns which queries they hold, bool (Q,).

    A cluster never stands on both sides.

    Args:
        clusters: What a query belongs to (Q).
        seed: Seed of the draw.
    """
    names = sorted(set(clusters))
    order = np.random.default_rng(seed).permutation(len(names))
    drawn = {names[number] for number in order[: len(names) // 2]}
    return np.array([cluster in drawn for cluster in clusters], dtype=np.bool_)


def tune(
    near: ScoredPairs,
    pairs: ScoredPairs,
    matches: MatchLists,
    *,
    target_precision: float,
    method: Method = "auto",
) -> Tuning:
    """Fits the curve and all thresholds.

    Args:
        near: Pairs of queries with the few candidates that a user sees: the curve is of these.
        pairs: Pairs with all candidates.
        matches: The same by query.
        target_precision: Precision that matches must reach, above 0 and at most 1.
        method: How the curve is fitted.

    Raises:
        ValueError: If the pairs are all matches or all non-matches.
    """
    return Tuning(
        curve=fit_curve(near.scores, near.is_match, method=method),
        match_threshold=fit_threshold(
            near.scores, near.is_match, target_precision=target_precision
        ),
        pair_threshold=best_f1_threshold(pairs),
        row_threshold=best_row_threshold(matches),
    )


def as_calibration(tuned: Mapping[str, Tuning]) -> Calibration:
    """Returns what of the tuning goes into the contract.

    Args:
        tuned: Modality pattern to what was tuned for it.
    """
    return Calibration(
        curves={pattern: tuning.curve for pattern, tuning in tuned.items()},
        thresholds={pattern: tuning.match_threshold for pattern, tuning in tuned.items()},
    )
