"""Calibration: what scores mean as probabilities, of a pair by itself and of an offer's matches."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from twinshelf.training.files import made_of
from twinshelf.training.retrieval.embeddings import PATTERNS
from twinshelf.training.retrieval.match_probability import MatchProbability

Floats = npt.NDArray[np.float64]


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
        points = np.array([self.scores, self.probabilities])
        steps, levels = np.diff(points), points[1]
        is_rising = (steps[0] > 0).all() and (steps[1] >= 0).all()
        if not (is_rising and np.isfinite(points).all() and 0 <= levels[0] and levels[-1] <= 1):
            raise ValueError(f"a curve must rise, with probabilities of 0 to 1, got {self}")

    def probability(self, scores: npt.ArrayLike) -> Floats:
        """Returns the probabilities that belong to scores, in their shape."""
        return np.interp(np.asarray(scores, np.float64), self.scores, self.probabilities)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What an encoder's scores mean, by modality pattern: "image", "text", "both".

    Attributes:
        curves: Score of a pair to its probability; a pattern without validation pairs is absent.
        thresholds: Score from which on pairs reach the target precision, for the same patterns.
        matches: Probabilities of an offer's matches, with a model for each of these patterns; None
            without any.

    Raises:
        ValueError: If a pattern is unknown, or has a curve without a threshold or the reverse.
    """

    curves: Mapping[str, Curve]
    thresholds: Mapping[str, float]
    matches: MatchProbability | None = None

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
        """Returns the calibration as a JSON object."""
        values = {
            "calibration": {pattern: asdict(curve) for pattern, curve in self.curves.items()},
            "thresholds": dict(self.thresholds),
            "match_probability": self.matches and self.matches.to_values(),
        }
        return json.dumps(values, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: If it is not such an object, or holds no valid curves.
        """
        try:
            values = json.loads(text)
            found = values["match_probability"]
            return cls(
                curves=made_of(Mapping[str, Curve], values["calibration"]),
                thresholds=made_of(Mapping[str, float], values["thresholds"]),
                matches=None if found is None else made_of(MatchProbability, found),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a calibration: {error!r}") from error
