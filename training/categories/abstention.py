"""What a margin means: how probably the first label is right, and from when on it is answered."""

from __future__ import annotations

from dataclasses import dataclass

from twinshelf.training.categories.category_labels import Predictions
from twinshelf.training.retrieval.calibration import Curve
from twinshelf.training.retrieval.calibration_fit import fit_curve, fit_threshold
from twinshelf.training.retrieval.scored_pairs import Bools, ScoredPairs

# No margin is above 1, so this one answers nothing.
NEVER = 1.0 + 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """What answering only from a margin on is worth.

    Attributes:
        margin: Smallest margin that is answered, 0 to just above 1.
        coverage: Share of queries answered, 0 to 1; NaN without queries.
        accuracy: Share of the answers that are right, 0 to 1; NaN without answers.
    """

    margin: float
    coverage: float
    accuracy: float


def fit_margin(predictions: Predictions, is_right: Bools, *, target_accuracy: float) -> float:
    """Finds the smallest margin from which on the answers reach an accuracy.

    Args:
        predictions: Predictions of the tuning queries (Q).
        is_right: Whether each is right, bool (Q,).
        target_accuracy: Share of right answers wanted, above 0 and at most 1.

    Returns:
        The margin; 0 when all answers together reach it. When none does, the margin with the
        highest accuracy; when no answer is right, one that answers nothing.
    """
    if not is_right.any():
        return NEVER
    if is_right.mean() >= target_accuracy:
        return 0.0
    answers = ScoredPairs(scores=predictions.margins, is_match=is_right)
    return fit_threshold(answers, target_precision=target_accuracy)


def fit_probability(predictions: Predictions, is_right: Bools) -> Curve:
    """Fits the probability that a label is right to its margin; arguments as in `fit_margin`."""
    if is_right.all() or not is_right.any():  # Laplace's rule: certainty is not shown by examples
        share = (int(is_right.sum()) + 1) / (len(is_right) + 2)
        return Curve(scores=(0.0,), probabilities=(share,))
    return fit_curve(ScoredPairs(scores=predictions.margins, is_match=is_right))


def evaluate_margin(predictions: Predictions, is_right: Bools, margin: float) -> Abstention:
    """Returns how many queries a margin answers, and how well."""
    answered = (predictions.margins >= margin) & (predictions.numbers >= 0)
    return Abstention(
        margin=margin,
        coverage=float(answered.mean()) if len(answered) else float("nan"),
        accuracy=float(is_right[answered].mean()) if answered.any() else float("nan"),
    )
