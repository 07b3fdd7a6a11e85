"""Labels of products as numbers, and predictions of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from twinshelf.training.categories.category_config import LabelField
from twinshelf.training.evaluation.category_vote import UNKNOWN, Ints, weighted_f1
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The labels that can be predicted, numbered.

    Attributes:
        names: Label of each number, sorted.

    Raises:
        ValueError: If there are fewer than two: nothing could be told apart.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise ValueError(
                "a prediction needs at least two different labels in the gallery, "
                f"got {len(self.names)}: {', '.join(map(repr, self.names)) or 'none'}"
            )

    @classmethod
    def of(cls, labels: Sequence[str]) -> Self:
        """Collects the different labels; "" is none."""
        return cls(names=tuple(sorted(set(labels) - {""})))

    def numbers(self, labels: Sequence[str]) -> Ints:
        """Returns the number of each label, int64 (N,); `UNKNOWN` for one that is not here."""
        places: Mapping[str, int] = {name: number for number, name in enumerate(self.names)}
        return np.array([places.get(label, UNKNOWN) for label in labels], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """A label for each query, with how sure it is.

    Attributes:
        numbers: Number of the predicted label, int64 (Q,); `UNKNOWN` for none.
        margins: Share of the votes, or probability, by which the label is ahead of the best other,
            0 to 1, float64 (Q,).
    """

    numbers: Ints
    margins: Floats


def labels_of(products: EmbeddedProducts, field: LabelField) -> tuple[str, ...]:
    """Returns what is to be predicted of each product; "" where it is not known."""
    return products.categories if field == "category" else products.groups


def score_predictions(actual: Sequence[str], predictions: Predictions, labels: Labels) -> float:
    """Returns the weighted F1, 0 to 1; NaN without queries.

    Args:
        actual: Right label of each query; one that is not among the labels counts as missed.
        predictions: What was predicted.
        labels: The labels.
    """
    numbers = labels.numbers(actual)
    missed = UNKNOWN - 1  # no prediction, not even an unknown label, is this one
    return weighted_f1(np.where(numbers == UNKNOWN, missed, numbers), predictions.numbers)


def right_rows(
    actual: Sequence[str], predictions: Predictions, labels: Labels
) -> npt.NDArray[np.bool_]:
    """Returns whether each prediction is right, bool (Q,)."""
    numbers = labels.numbers(actual)
    return (numbers == predictions.numbers) & (numbers != UNKNOWN)
