"""Calibration: what a score means as a probability, and from which score on to trust a match."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Method = Literal["auto", "isotonic", "platt"]

PATTERNS = ("image", "text", "both")
DIGITS = 6
MOST_KNOTS = 64
# Below this many examples of a class isotonic regression follows the noise.
# Source: Niculescu-Mizil, Caruana, Predicting good probabilities with supervised learning (2005).
ISOTONIC_CLASS_COUNT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A calibration curve: linear between its points, flat beyond them.

    Attributes:
        scores: Rising scores, -1 to 1.
        probabilities: Probability of the same product at each score, 0 to 1, never falling.

    Raises:
        ValueError: If the points do not make such a curve.
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.scores or len(self.scores) != len(self.probabilities):
            raise ValueError(
                "a curve needs as many scores as probabilities, at least one, "
                f"got {len(self.scores)} and {len(self.probabilities)}"
            )
        if not all(math.isfinite(value) for value in (*self.scores, *self.probabilities)):
            raise ValueError("a curve must be finite")
        if list(self.scores) != sorted(set(self.scores)):
            raise ValueError(f"the scores of a curve must rise, got {self.scores}")
        if list(self.probabilities) != sorted(self.probabilities):
            raise ValueError(f"probabilities must not fall, got {self.probabilities}")
        if self.probabilities[0] < 0 or self.probabilities[-1] > 1:
            raise ValueError(f"probabilities must be 0 to 1, got {self.probabilities}")

    def probability(self, scores: npt.ArrayLike) -> Floats:
        """Returns the probabilities that belong to scores, in their shape."""
        return np.interp(np.asarray(scores, np.float64), self.scores, self.probabilities)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Curves and thresholds of an encoder, by modality pattern: "image", "text", "both".

    Attributes:
        curves: Score to probability; a pattern that had no validation pairs is absent.
        thresholds: Score from which on matches reach the target precision, for the same patterns.

    Raises:
        ValueError: If a pattern is unknown, or has a curve without a threshold or the reverse.
    """

    curves: Mapping[str, Curve]
    thresholds: Mapping[str, float]

    def __post_init__(self) -> None:
        if unknown := (set(self.curves) | set(self.thresholds)) - set(PATTERNS):
            raise ValueError(f"patterns must be among {PATTERNS}, got {sorted(unknown)}")
        if set(self.curves) != set(self.thresholds):
            raise ValueError(
                "curves and thresholds must be of the same patterns, "
                f"got {sorted(self.curves)} and {sorted(self.thresholds)}"
            )
        if not all(math.isfinite(value) for value in self.thresholds.values()):
            raise ValueError(f"thresholds must be finite, got {dict(self.thresholds)}")

    def to_json(self) -> str:
        """Returns the calibration as a JSON object, in the form that the contract holds."""
        curves = {
            pattern: {"scores": curve.scores, "probabilities": curve.probabilities}
            for pattern, curve in self.curves.items()
        }
        values = {"calibration": curves, "thresholds": dict(self.thresholds)}
        return json.dumps(values, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: If it is not such an object, or holds no valid curves.
        """
        try:
            values = json.loads(text)
            curves = {
                pattern: Curve(
                    scores=tuple(map(float, curve["scores"])),
                    probabilities=tuple(map(float, curve["probabilities"])),
                )
                for pattern, curve in values["calibration"].items()
            }
            thresholds = {key: float(value) for key, value in values["thresholds"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a calibration: {error!r}") from error
        return cls(curves=curves, thresholds=thresholds)


def fit_curve(scores: npt.ArrayLike, is_match: npt.ArrayLike, *, method: Method = "auto") -> Curve:
    """Fits a calibration curve to scored pairs.

    Args:
        scores: Scores of pairs, higher is better, -1 to 1 (P,).
        is_match: Whether a pair is of the same product (P,).
        method: "platt" fits a sigmoid, "isotonic" any rising curve, "auto" takes isotonic where
            both classes are large enough for it.

    Raises:
        ValueError: If a score is not finite, or the pairs are all matches or all non-matches.

    Source: Platt, Probabilistic outputs for support vector machines (1999); Zadrozny, Elkan,
    Transforming classifier scores into accurate multiclass probability estimates (2002).
    """
    values, labels = checked_pairs(scores, is_match)
    if method == "auto":
        smaller = min(int(labels.sum()), int((~labels).sum()))
        method = "isotonic" if smaller >= ISOTONIC_CLASS_COUNT else "platt"
    if method == "isotonic":
        return _isotonic(values, labels)
    if method == "platt":
        return _platt(values, labels)
    raise ValueError(f"method must be auto, isotonic or platt, got {method!r}")


def fit_threshold(
    scores: npt.ArrayLike, is_match: npt.ArrayLike, *, target_precision: float = 0.95
) -> float:
    """Finds the lowest score from which on pairs reach a precision.

    Returns:
        The threshold, one of the scores; when none reaches the target, the score with the highest
        precision (the lowest of equals).

    Raises:
        ValueError: As `fit_curve`, or if the target is not above 0 and at most 1.
    """
    if not 0 < target_precision <= 1:
        raise ValueError(f"target_precision must be above 0 and at most 1, got {target_precision}")
    values, labels = checked_pairs(scores, is_match)
    order = np.argsort(-values, kind="stable")
    values, labels = values[order], labels[order]
    last_of_equals = np.append(values[1:] != values[:-1], True)
    precision = (np.cumsum(labels) / np.arange(1, len(labels) + 1))[last_of_equals]
    candidates = values[last_of_equals]
    wanted = min(target_precision, precision.max())
    return float(candidates[precision >= wanted][-1])


def checked_pairs(scores: npt.ArrayLike, is_match: npt.ArrayLike) -> tuple[Floats, Bools]:
    """Checks that scored pairs can be learnt from.

    Raises:
        ValueError: If shapes differ, a score is not finite, or a class is missing.
    """
    values, labels = np.asarray(scores, np.float64), np.asarray(is_match, np.bool_)
    if values.ndim != 1 or values.shape != labels.shape:
        raise ValueError(
            f"scores and labels must be (P,) each, got {values.shape} and {labels.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"scores must be finite: pair {int(np.argmin(np.isfinite(values)))} is not"
        )
    if labels.all() or not labels.any():
        raise ValueError(
            "calibration needs pairs of the same product and of different products, got "
            f"{int(labels.sum())} and {int((~labels).sum())}"
        )
    return values, labels


def _targets(labels: Bools) -> Floats:
    """Platt's targets: away from 0 and 1 by what the class counts allow to claim."""
    match_count, other_count = int(labels.sum()), int((~labels).sum())
    return np.where(labels, (match_count + 1) / (match_count + 2), 1 / (other_count + 2))


def _isotonic(scores: Floats, labels: Bools) -> Curve:
    fitted = IsotonicRegression(out_of_bounds="clip").fit_transform(scores, _targets(labels))
    # One knot per level, at its mean score: linear between levels instead of steps.
    levels, place = np.unique(np.round(fitted, DIGITS), return_inverse=True)
    centres = np.bincount(place, weights=scores) / np.bincount(place)
    return _curve(centres, levels)


def _platt(scores: Floats, labels: Bools) -> Curve:
    targets = _targets(labels)
    slope, offset = _sigmoid(scores, targets)
    if slope <= 0:  # the scores tell nothing: the base rate is the honest answer
        return _curve(np.array([0.0]), np.array([targets.mean()]))
    logits = np.linspace(-8, 8, MOST_KNOTS - 1)
    knots = np.unique(np.clip((logits - offset) / slope, -1, 1))
    return _curve(knots, _logistic(slope * knots + offset))


def _sigmoid(scores: Floats, targets: Floats) -> tuple[float, float]:
    """Fits slope and offset of a sigmoid by Newton's method with step halving."""
    centre, scale = scores.mean(), max(float(scores.std()), 1e-6)
    features = np.stack([(scores - centre) / scale, np.ones_like(scores)], axis=1)  # (P, 2)
    weights = np.zeros(2)
    loss = _cross_entropy(features @ weights, targets)
    for _ in range(100):
        fitted = _logistic(features @ weights)
        gradient = features.T @ (fitted - targets)
        curvature = (features * (fitted * (1 - fitted))[:, None]).T @ features
        step = np.linalg.solve(curvature + 1e-9 * len(scores) * np.eye(2), gradient)
        while np.abs(step).max() > 1e-10:
            new_loss = _cross_entropy(features @ (weights - step), targets)
            if new_loss <= loss:
                break
            step = step / 2
        if np.abs(step).max() <= 1e-10:
            break
        weights, loss = weights - step, new_loss
    return float(weights[0] / scale), float(weights[1] - weights[0] * centre / scale)


def _logistic(logits: Floats) -> Floats:
    return 0.5 * (1.0 + np.tanh(logits / 2.0))  # never overflows


def _cross_entropy(logits: Floats, targets: Floats) -> float:
    return float((np.logaddexp(0, logits) - targets * logits).sum())


def _curve(scores: Floats, probabilities: Floats) -> Curve:
    """Rounds knots, and thins them out, keeping the first and the last."""
    if len(scores) > MOST_KNOTS:
        kept = np.unique(np.linspace(0, len(scores) - 1, MOST_KNOTS).round().astype(int))
        scores, probabilities = scores[kept], probabilities[kept]
    rounded, firsts = np.unique(np.round(scores, DIGITS), return_index=True)
    levels = np.maximum.accumulate(np.round(probabilities[firsts], DIGITS))
    return Curve(scores=tuple(map(float, rounded)), probabilities=tuple(map(float, levels)))
