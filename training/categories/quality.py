"""Predicted labels against the right ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.categories.abstention import judge_abstention
from training.categories.labels import Labels, Predictions, predicted_names, score_predictions
from training.categories.results import LabelQuality
from training.evaluation.intervals import estimate_means


def judge_labels(
    actual: Sequence[str], predictions: Predictions, labels: Labels, *, margin: float, seed: int
) -> LabelQuality:
    """Compares predictions with the right labels.

    Args:
        actual: Right label of each query.
        predictions: What was predicted.
        labels: The labels.
        margin: Smallest margin that is answered.
        seed: Seed of the interval.
    """
    is_right = right_rows(actual, predictions, labels)
    accuracy = estimate_means(
        {"accuracy": is_right.astype(np.float64)}, [str(row) for row in range(len(actual))],
        seed=seed,
    )["accuracy"]  # fmt: skip
    return LabelQuality(
        query_count=len(actual),
        unseen_count=int((labels.numbers(actual) < 0).sum()),
        weighted_f1=score_predictions(actual, predictions, labels),
        accuracy=accuracy,
        abstention=judge_abstention(predictions, is_right, margin),
    )


def right_rows(
    actual: Sequence[str], predictions: Predictions, labels: Labels
) -> npt.NDArray[np.bool_]:
    """Returns whether each prediction is right, bool (Q,)."""
    predicted = predicted_names(predictions, labels)
    return np.array([a == b for a, b in zip(actual, predicted, strict=True)], dtype=np.bool_)
