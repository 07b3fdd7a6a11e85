"""What is tuned on held-out queries: curve, thresholds, and the model of match probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinshelf.training.evaluation.pattern_search import best_row_rule, candidate_pairs
from twinshelf.training.retrieval.calibration import Curve
from twinshelf.training.retrieval.calibration_fit import fit_curve, fit_threshold
from twinshelf.training.retrieval.match_probability import MatchModel, OfferLists
from twinshelf.training.retrieval.scored_pairs import best_f1_threshold

NEAR_COUNT = 10  # candidates per query that a user sees


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What was tuned for one modality pattern.

    Attributes:
        curve: Score of a pair to its probability.
        match_threshold: Lowest score at which pairs reach the target precision.
        pair_threshold: Score with the best F1 of pairs.
        row_threshold: Score with the best F1 per row.
        least_row_count: Matches of a row whatever their score, 0 or 1, for that F1.
        match_models: Probabilities of an offer's matches, fitted to all queries; for "both" also at
            weights on either side.
    """

    curve: Curve
    match_threshold: float
    pair_threshold: float
    row_threshold: float
    least_row_count: int
    match_models: tuple[MatchModel, ...]


def fit_tuning(
    lists: OfferLists, match_models: Sequence[MatchModel], target_precision: float
) -> Tuning:
    """Fits the curve and all thresholds to one half of the queries; the models are of all.

    The curve is of the few candidates that a user sees, the other thresholds of all.

    Raises:
        ValueError: If the candidates are all matches or all non-matches.
    """
    near, pairs = candidate_pairs(lists, NEAR_COUNT), candidate_pairs(lists)
    curve, (row_threshold, least_row_count) = fit_curve(near), best_row_rule(lists)
    return Tuning(
        curve=curve,
        match_threshold=fit_threshold(near, curve, target_precision=target_precision),
        pair_threshold=best_f1_threshold(pairs),
        row_threshold=row_threshold,
        least_row_count=least_row_count,
        match_models=tuple(match_models),
    )
