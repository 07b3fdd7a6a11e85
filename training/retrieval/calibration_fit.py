"""Calibration curves and thresholds, fitted to scored pairs."""

from __future__ import annotations

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from twinshelf.training.retrieval.calibration import Curve, Floats
from twinshelf.training.retrieval.scored_pairs import ScoredPairs, expected_precision

DIGITS = 6
MOST_KNOTS = 64
# Below this many examples of a class isotonic regression follows the noise.
# Source: Niculescu-Mizil, Caruana, Predicting good probabilities with supervised learning (2005).
ISOTONIC_CLASS_COUNT = 200


def fit_curve(pairs: ScoredPairs) -> Curve:
    """Fits a calibration curve to scored pairs: any rising curve, or a sigmoid to few pairs.

    Raises:
        ValueError: If the pairs are all matches or all non-matches.

    Source: Platt, Probabilistic outputs for support vector machines (1999); Zadrozny, Elkan,
    Transforming classifier scores into accurate multiclass probability estimates (2002).
    """
    match_count, other_count = _check_classes(pairs)
    # Platt's targets: away from 0 and 1 by what the class counts allow to claim.
    targets = np.where(pairs.is_match, (match_count + 1) / (match_count + 2), 1 / (other_count + 2))
    fit = _isotonic if min(match_count, other_count) >= ISOTONIC_CLASS_COUNT else _platt
    return fit(pairs.scores, targets)


def fit_threshold(pairs: ScoredPairs, curve: Curve, *, target_precision: float) -> float:
    """Finds the lowest score from which on pairs reach a precision, above 0 and at most 1.

    The precision is what was seen, drawn towards what their curve expects.

    Returns:
        The threshold, one of the scores; when none reaches the target, the score with the highest
        precision (the lowest of equals).

    Raises:
        ValueError: As `fit_curve`.
    """
    _check_classes(pairs)
    likely = curve.probability(pairs.scores)
    scores, precision = expected_precision(pairs.scores, pairs.is_match, likely)
    return float(scores[precision >= min(target_precision, precision.max())][-1])


def _check_classes(pairs: ScoredPairs) -> tuple[int, int]:
    """Returns how many pairs match and how many do not.

    Raises:
        ValueError: If a class is missing.
    """
    match_count = int(pairs.is_match.sum())
    other_count = len(pairs.is_match) - match_count
    if not (match_count and other_count):
        raise ValueError(
            "calibration needs pairs of the same product and of different products, got "
            f"{match_count} and {other_count}"
        )
    return match_count, other_count


def _isotonic(scores: Floats, targets: Floats) -> Curve:
    fitted = IsotonicRegression(out_of_bounds="clip").fit_transform(scores, targets)
    # One knot per level, at its mean score: linear between levels instead of steps.
    levels, place = np.unique(np.round(fitted, DIGITS), return_inverse=True)
    centres = np.bincount(place, weights=scores) / np.bincount(place)
    return _curve(centres, levels)


def _platt(scores: Floats, targets: Floats) -> Curve:
    slope, offset = _sigmoid(scores, targets)
    if slope <= 0:  # the scores tell nothing: the base rate is the honest answer
        return _curve(np.array([0.0]), np.array([targets.mean()]))
    logits = np.linspace(-8, 8, MOST_KNOTS - 1)
    knots = np.unique(np.clip((logits - offset) / slope, -1, 1))
    return _curve(knots, 0.5 * (1 + np.tanh((slope * knots + offset) / 2)))


def _sigmoid(scores: Floats, targets: Floats) -> tuple[float, float]:
    """Fits slope and offset of a sigmoid.

    A target between 0 and 1 is two rows, one of each class, which weigh what it says.
    """
    centre, scale = scores.mean(), max(float(scores.std()), 1e-6)
    features = np.tile((scores - centre) / scale, 2)[:, None]  # (2P, 1)
    model = LogisticRegression(C=1e9, solver="newton-cholesky", tol=1e-10).fit(
        features,
        np.repeat([1, 0], len(scores)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    slope = float(model.coef_[0, 0]) / scale
    return slope, float(model.intercept_[0]) - slope * centre


def _curve(scores: Floats, probabilities: Floats) -> Curve:
    """Rounds knots, and thins them out, keeping the first and the last."""
    if len(scores) > MOST_KNOTS:
        kept = np.unique(np.linspace(0, len(scores) - 1, MOST_KNOTS).round().astype(int))
        scores, probabilities = scores[kept], probabilities[kept]
    rounded, firsts = np.unique(np.round(scores, DIGITS), return_index=True)
    levels = np.maximum.accumulate(np.round(probabilities[firsts], DIGITS))
    return Curve(scores=tuple(map(float, rounded)), probabilities=tuple(map(float, levels)))
