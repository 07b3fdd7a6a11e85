"""What the score of two products says by itself: are they the same?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCurve:
    """A calibration curve of pairs: linear between its points, flat beyond them.

    Attributes:
        scores: Rising scores, -1 to 1.
        probabilities: Probability of the same product at each score, 0 to 1.
        threshold: Score from which on pairs reach the precision that was calibrated for.

    Raises:
        ValueError: If the points make no curve, or the threshold is not finite.
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]
    threshold: float

    def __post_init__(self) -> None:
        """Checks the values."""
        points = np.array([self.scores, self.probabilities], dtype=np.float64)
        if not points.size or not np.isfinite([*points.ravel(), self.threshold]).all():
            raise ValueError("a curve of pairs needs finite points and a finite threshold")
        if (np.diff(points[0]) <= 0).any() or (np.diff(points[1]) < 0).any():
            raise ValueError("scores of a curve must rise, and its probabilities must not fall")

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Reads the curve of one pattern from the contract.

        Raises:
            KeyError: If a value is missing.
            ValueError: If one is out of range.
        """
        return cls(
            scores=tuple(map(float, values["scores"])),
            probabilities=tuple(map(float, values["probabilities"])),
            threshold=float(values["threshold"]),
        )

    def probability(self, scores: Floats) -> Floats:
        """Returns the probability (N,) that belongs to each score (N,)."""
        found: Floats = np.interp(scores, self.scores, self.probabilities)
        return found
