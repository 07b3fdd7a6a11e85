"""What the margin of a vote for a category says: is the category right?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

# Margins are of so many neighbours, however few choose: so those of different K can be compared.
MARGIN_NEIGHBOURS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryCurve:
    """A calibration curve of votes: linear between its points, flat beyond them.

    How it was fitted is told in `training.categories.abstention`.

    Attributes:
        neighbour_count: Neighbours that chose the category as it was fitted, 1 to
            `MARGIN_NEIGHBOURS`.
        margins: Rising margins.
        probabilities: Probability that the category is right at each margin, 0 to 1.
        targets: Rising shares of right answers for which thresholds are known.
        thresholds: Probability from which on answers are right so often, above 1 for never.

    Raises:
        ValueError: If the points make no curve, or a number is out of range.
    """

    neighbour_count: int
    margins: tuple[float, ...]
    probabilities: tuple[float, ...]
    targets: tuple[float, ...]
    thresholds: tuple[float, ...]

    def __post_init__(self) -> None:
        """Checks the values."""
        if not 1 <= self.neighbour_count <= MARGIN_NEIGHBOURS:
            raise ValueError(
                f"neighbour_count must be 1 to {MARGIN_NEIGHBOURS}, got {self.neighbour_count}"
            )
        for name, points in (
            ("curve of votes", np.array([self.margins, self.probabilities], np.float64)),
            ("row of thresholds", np.array([self.targets, self.thresholds], np.float64)),
        ):
            if not points.size or not np.isfinite(points).all():
                raise ValueError(f"a {name} needs finite points")
            if (np.diff(points[0]) <= 0).any() or (np.diff(points[1]) < 0).any():
                raise ValueError(f"a {name} must rise")

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Reads the curve of one pattern from the contract.

        Raises:
            KeyError: If a value is missing.
            ValueError: If one is out of range.
        """
        names = ("margins", "probabilities", "targets", "thresholds")
        return cls(
            neighbour_count=int(values["neighbour_count"]),
            **{name: tuple(map(float, values[name])) for name in names},
        )

    def probability(self, margin: float) -> float:
        """Returns the probability that the category with the most votes is right."""
        return float(np.interp(margin, self.margins, self.probabilities))

    def threshold(self, target_precision: float) -> float:
        """Returns the probability from which on answers reach a precision, above 0 and below 1."""
        return float(np.interp(target_precision, self.targets, self.thresholds))
