"""Scored pairs of a query and a candidate, and how well a threshold tells matches from the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, precision_recall_curve

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# How far a precision is drawn towards what probabilities expect: what was seen alone takes pairs
# for good that were right by chance.
EXPECTED_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredPairs:
    """Pairs with their scores and labels.

    Attributes:
        scores: Scores, higher is better, float64 (P,).
        is_match: Whether a pair is of the same product, bool (P,).
        missed_count: Pairs of the same product that are not among these, 0 or more: they can
            never be found, and count against recall.

    Raises:
        ValueError: If shapes differ, a score is not finite or the count is negative.
    """

    scores: Floats
    is_match: Bools
    missed_count: int = 0

    def __post_init__(self) -> None:
        if self.scores.ndim != 1 or self.scores.shape != self.is_match.shape:
            raise ValueError(
                "scores and labels of pairs must be (P,) each, "
                f"got {self.scores.shape} and {self.is_match.shape}"
            )
        finite = np.isfinite(self.scores)
        if not finite.all():
            raise ValueError(f"the score of pair {int(np.argmin(finite))} is not finite")
        if self.missed_count < 0:
            raise ValueError(f"missed_count must be 0 or more, got {self.missed_count}")

    @property
    def match_count(self) -> int:
        """All pairs of the same product, the missed ones included."""
        return int(self.is_match.sum()) + self.missed_count


@dataclass(frozen=True, slots=True, kw_only=True)
class PairQuality:
    """How well pairs are told apart at one threshold.

    Attributes:
        threshold: Pairs of this score or more are accepted.
        precision: Share of accepted pairs that match; NaN when none is accepted.
        recall: Share of matches that are accepted; NaN without any match.
        f1: Harmonic mean of both, 0 when nothing matching is accepted; NaN without any match.
    """

    threshold: float
    precision: float
    recall: float
    f1: float


def precision_recall(pairs: ScoredPairs) -> tuple[Floats, Floats, Floats]:
    """Returns precision, recall and threshold (T,) of accepting pairs from each score on.

    The highest score comes first; equal ones are accepted together. One pair at least must match.
    """
    precision, recall, thresholds = precision_recall_curve(pairs.is_match, pairs.scores)
    # Their last point is of accepting nothing, and their recall is of the matches among the pairs.
    return precision[-2::-1], recall[-2::-1] * _found_share(pairs), thresholds[::-1]


def expected_precision(
    scores: Floats, is_match: Bools, probabilities: Floats, weights: Floats | float = 1.0
) -> tuple[Floats, Floats]:
    """Returns the different scores, falling, and the precision of accepting pairs from each on.

    Args:
        scores: Scores of pairs (P,).
        is_match: Whether each is of the same product (P,).
        probabilities: What was fitted to say so, 0 to 1 (P,).
        weights: How much each pair counts, 0 or more (P,).
    """
    order = np.argsort(-scores, kind="stable")
    likely = (1 - EXPECTED_SHARE) * is_match + EXPECTED_SHARE * probabilities
    right, taken = (np.cumsum((weights * of)[order]) for of in (likely, np.ones_like(scores)))
    is_last = np.append(np.diff(scores[order]) < 0, True)
    return scores[order][is_last], (right / np.maximum(taken, 1e-12))[is_last]


def average_precision_of_pairs(pairs: ScoredPairs) -> float:
    """PR-AUC as average precision: precision at each threshold times the recall gained there.

    No interpolation; missed pairs are never gained; NaN without any match.

    Source: Manning, Raghavan, Schütze, Introduction to Information Retrieval, section 8.4.
    """
    if not pairs.match_count:
        return float("nan")
    if not pairs.is_match.any():
        return 0.0
    return float(average_precision_score(pairs.is_match, pairs.scores) * _found_share(pairs))


def quality_at(pairs: ScoredPairs, threshold: float) -> PairQuality:
    """Returns precision, recall and F1 of accepting pairs of the threshold or more."""
    accepted = pairs.scores >= threshold
    hits, total = int(pairs.is_match[accepted].sum()), pairs.match_count
    accepted_count = int(accepted.sum())
    return PairQuality(
        threshold=threshold,
        precision=hits / accepted_count if accepted_count else float("nan"),
        recall=hits / total if total else float("nan"),
        f1=2 * hits / (accepted_count + total) if total else float("nan"),
    )


def best_f1_threshold(pairs: ScoredPairs) -> float:
    """Returns the threshold with the highest F1; of equals the highest.

    Raises:
        ValueError: If no pair is a match.
    """
    if not pairs.is_match.any():
        raise ValueError(
            f"a threshold needs at least one matching pair, got none of {len(pairs.scores)}"
        )
    precision, recall, thresholds = precision_recall(pairs)
    # F1 = 2·hits / (accepted + matches), written in precision and recall.
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[np.argmax(np.round(f1, 12))])


def _found_share(pairs: ScoredPairs) -> float:
    return pairs.is_match.sum() / pairs.match_count
