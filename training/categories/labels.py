"""Labels of products as numbers, and predictions of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from training.evaluation.categories import weighted_f1
from training.evaluation.embedded import EmbeddedProducts

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
LabelField = Literal["category", "group"]

UNKNOWN = -1


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

    def rows(self, selection: npt.NDArray[np.bool_]) -> Predictions:
        """Returns the selected queries."""
        return Predictions(numbers=self.numbers[selection], margins=self.margins[selection])


def labels_of(products: EmbeddedProducts, field: LabelField) -> tuple[str, ...]:
    """Returns what is to be predicted of each product; "" where it is not known.

    Raises:
        ValueError: If the field is not a label.
    """
    if field not in get_args(LabelField):
        raise ValueError(f"label must be one of {get_args(LabelField)}, got {field!r}")
    return products.categories if field == "category" else products.groups


def score_predictions(actual: Sequence[str], predictions: Predictions, labels: Labels) -> float:
    """Returns the weighted F1, 0 to 1; NaN without queries.

    Args:
        actual: Right label of each query; one that is not among the labels counts as missed.
        predictions: What was predicted.
        labels: The labels.
    """
    return weighted_f1(actual, predicted_names(predictions, labels))


def predicted_names(predictions: Predictions, labels: Labels) -> list[str]:
    """Returns the predicted label of each query; "" for none."""
    return [labels.names[number] if number >= 0 else "" for number in predictions.numbers.tolist()]
