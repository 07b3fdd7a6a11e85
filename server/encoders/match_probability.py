"""From the scores of an offer's candidates to probabilities: of each match, and of none at all.

The formula, and how its numbers were fitted, are told in `training.retrieval.match_probability`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_NUMBERS = ("steepness", "even_score", "sharpness", "rivalry")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedCandidates:
    """What the scores of the N candidates of Q offers say.

    Attributes:
        probabilities: (N,) probability that each is the same item as its offer, 0 to 1.
        is_match: (N,) whether it is one, at the precision asked for.
        no_match_probabilities: (Q,) probability that the catalogue holds no match, 0 to 1.
    """

    probabilities: Floats
    is_match: npt.NDArray[np.bool_]
    no_match_probabilities: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchProbability:
    """The fitted numbers, each for some weights of the photo; between these they are interpolated.

    Attributes:
        match_prior: Share of the offers with a match where a request does not say, above 0 to 1.
        list_length: Candidates that rival each other, the best.
        score_ceiling: Score that none can reach.
        image_weights: The W weights of the photo, rising, 0 to 1.
        steepness: W numbers: how fast the odds of a match rise with the score, above 0.
        even_score: W scores at which the odds are even, below the ceiling.
        sharpness: W numbers: how much a lead over the rivals counts, above 0.
        rivalry: W numbers: 1 where one product alone can be right, towards 0 where many can; above
            1 where the right one is often behind the end of the list.
        priors: The P priors for which thresholds are known, rising.
        targets: The T precisions for which they are, rising.
        thresholds: Probability from which on a candidate matches, above 1 for never, W by P by T.

    Raises:
        ValueError: If a value is out of range or the counts differ.
    """

    match_prior: float
    list_length: int
    score_ceiling: float
    image_weights: tuple[float, ...]
    steepness: tuple[float, ...]
    even_score: tuple[float, ...]
    sharpness: tuple[float, ...]
    rivalry: tuple[float, ...]
    priors: tuple[float, ...]
    targets: tuple[float, ...]
    thresholds: tuple[tuple[tuple[float, ...], ...], ...]

    def __post_init__(self) -> None:
        """Checks the values."""
        if not 0 < self.match_prior <= 1 or self.list_length < 1:
            raise ValueError(
                "match_prior must be above 0 to 1 and list_length 1 or more, "
                f"got {self.match_prior} and {self.list_length}"
            )
        for name in ("image_weights", "priors", "targets"):
            values = getattr(self, name)
            if not values or list(values) != sorted(set(values)) or not 0 <= values[0] <= 1:
                raise ValueError(f"{name} must rise, from 0 on, got {values}")
        numbers = np.array([getattr(self, name) for name in _NUMBERS])
        if not np.isfinite(numbers).all() or not (numbers[[0, 2]] > 0).all():
            raise ValueError("the numbers of match probabilities are out of range")
        if not max(self.even_score) < self.score_ceiling or self.score_ceiling <= 1:
            raise ValueError(f"even_score must be below {self.score_ceiling}, which is above 1")
        expected = (len(self.image_weights), len(self.priors), len(self.targets))
        if np.shape(self.thresholds) != expected:
            raise ValueError(f"thresholds must be {expected}, got {np.shape(self.thresholds)}")

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Reads that part of the contract.

        Raises:
            KeyError: If a value is missing.
            ValueError: If one is out of range.
        """
        models: Sequence[Mapping[str, Any]] = values["models"]

        def column(name: str) -> tuple[float, ...]:
            """One number of all models."""
            return tuple(float(model[name]) for model in models)

        return cls(
            match_prior=float(values["match_prior"]),
            list_length=int(values["list_length"]),
            score_ceiling=float(values["score_ceiling"]),
            image_weights=column("image_weight"),
            **{name: column(name) for name in _NUMBERS},
            priors=tuple(map(float, values["priors"])),
            targets=tuple(map(float, values["targets"])),
            thresholds=tuple(
                tuple(tuple(map(float, row)) for row in model["thresholds"]) for model in models
            ),
        )

    def judge(
        self,
        scores: Floats,
        image_weights: Floats,
        counts: Ints,
        *,
        match_priors: Floats,
        target_precisions: Floats,
    ) -> JudgedCandidates:
        """Judges the candidates of Q offers, those of each by themselves.

        Args:
            scores: (N,) scores, those of an offer one after the other, the best first.
            image_weights: (N,) weight of the image in each, 0 to 1.
            counts: (Q,) candidates of each offer.
            match_priors: (Q,) share of such offers that have a match, above 0 to 1.
            target_precisions: (Q,) share of the matches that are to be right, above 0 and below 1.
        """
        no_match_probabilities = np.ones(len(counts))
        if not len(scores):
            nothing = np.zeros(0)
            return JudgedCandidates(
                probabilities=nothing,
                is_match=nothing > 0,
                no_match_probabilities=no_match_probabilities,
            )
        has_any = np.flatnonzero(counts)
        counts = counts[has_any]
        starts = np.cumsum(counts) - counts
        is_listed = np.arange(len(scores)) - np.repeat(starts, counts) < self.list_length
        steepness, even_score, sharpness, rivalry = (
            np.interp(image_weights, self.image_weights, getattr(self, name)) for name in _NUMBERS
        )
        # Halves are fp16: equal ones may score a little above 1.
        distances = np.maximum(self.score_ceiling - scores, self.score_ceiling - 1)
        evidence = steepness * (np.log(self.score_ceiling - even_score) - np.log(distances))
        held = _held(_greatest(evidence, is_listed, starts), match_priors[has_any])
        no_match_probabilities[has_any] = 1 - held
        leads = sharpness * (scores - even_score)
        weights = np.exp(leads - np.repeat(_greatest(leads, is_listed, starts), counts))
        listed = np.where(is_listed, weights, 0)
        rivals = np.repeat(np.add.reduceat(listed, starts), counts) - listed
        probabilities = (
            np.repeat(held, counts) * weights / np.maximum(weights + rivalry * rivals, 1e-300)
        )
        thresholds = np.empty(len(scores))
        asked = np.stack([match_priors, target_precisions], axis=1)[has_any]
        for prior, target in set(map(tuple, asked.tolist())):
            is_own = np.repeat((asked == (prior, target)).all(axis=1), counts)
            thresholds[is_own] = self._thresholds(image_weights[is_own], prior, target)
        return JudgedCandidates(
            probabilities=probabilities,
            is_match=probabilities >= thresholds,
            no_match_probabilities=no_match_probabilities,
        )

    def _thresholds(self, image_weights: Floats, match_prior: float, target: float) -> Floats:
        place = float(np.interp(match_prior, self.priors, np.arange(len(self.priors))))
        low, high, share = math.floor(place), math.ceil(place), place % 1
        values = [
            np.interp(
                target,
                self.targets,
                [a + share * (b - a) for a, b in zip(of[low], of[high], strict=True)],
            )
            for of in self.thresholds
        ]
        found: Floats = np.interp(image_weights, self.image_weights, values)
        return np.maximum(found, target) if target > self.targets[-1] else found


def _greatest(values: Floats, is_listed: npt.NDArray[np.bool_], starts: Ints) -> Floats:
    """Returns the greatest listed value of each offer, by the place of its first."""
    greatest: Floats = np.maximum.reduceat(np.where(is_listed, values, -np.inf), starts)
    return greatest


def _held(evidence: Floats, match_priors: Floats) -> Floats:
    """Chance that the catalogue holds a match, from its log-odds at an even prior."""
    with np.errstate(divide="ignore"):  # with a prior of 1 it is certain
        log_odds = evidence + np.log(match_priors) - np.log1p(-match_priors)
    chances: Floats = 1 / (1 + np.exp(-np.maximum(log_odds, -700.0)))
    return chances
