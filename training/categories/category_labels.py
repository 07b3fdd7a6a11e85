"""Labels of products as numbers, and predictions of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from twinshelf.training.categories.category_config import LabelField
from twinshelf.training.evaluation.category_vote import UNKNOWN, Floats, Ints
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts

UNSEEN = UNKNOWN - 1  # no prediction, not even an unknown label, is this one


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

    def numbers(self, labels: Sequence[str], *, missing: int = UNKNOWN) -> Ints:
        """Returns the number of each label, int64 (N,); `missing` for one that is not here."""
        numbers = pd.Index(self.names).get_indexer(pd.Index(labels, dtype=object))
        return np.where(numbers < 0, missing, numbers).astype(np.int64)


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
