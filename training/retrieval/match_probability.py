"""From the scores of an offer's candidates to probabilities: of each match, and of none at all.

With s the best score, the odds that the catalogue holds the offer's product are

    odds = match_prior / (1 - match_prior) · ((1.02 - even_score) / (1.02 - s)) ^ steepness

and no_match_probability = 1 / (1 + odds). Given that it holds it, candidate i is right with

    share_i = e_i / (e_i + rivalry · sum of e_j over the other candidates)
    e_i = exp(sharpness · (s_i - even_score))

so that margin, rank and a crowded neighbourhood count; probability_i = (1 - no_match) · share_i. It
rises with s_i. A prior other than the one fitted with shifts the odds by Bayes' rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

Floats = npt.NDArray[np.float64]

LIST_LENGTH = 50
# Just above the greatest score: half-precision vectors tell nothing nearer than that.
SCORE_CEILING = 1.02
# Where the thresholds are known; between them they are interpolated.
PRIORS = (0.05, 0.2, 0.5, 0.8, 0.95, 1.0)
TARGETS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
# A threshold that nothing reaches: no probability and no margin is above 1.
NEVER = 1.0 + 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchModel:
    """The numbers of the formula at one weight of the photo.

    Attributes:
        image_weight: Weight of the image in the score, 0 to 1.
        steepness: How fast the odds of a match rise with the score, above 0.
        even_score: Score at which they are even, where every second offer has a match; below 1.02.
        sharpness: How much a lead over the rivals counts, above 0.
        rivalry: 1 where one product alone can be right, towards 0 where many can; above 1 where
            the right one is often behind the end of the list.
        thresholds: Probability from which on matches are right as often as asked for, `NEVER` where
            they never are; a row for each of `PRIORS`, a column for each of `TARGETS`.

    Raises:
        ValueError: If a value is out of range.
    """

    image_weight: float
    steepness: float
    even_score: float
    sharpness: float
    rivalry: float
    thresholds: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if not (0 <= self.image_weight <= 1 and 0 <= self.rivalry < math.inf):
            raise ValueError(
                "image_weight must be 0 to 1, and rivalry finite and 0 or more, "
                f"got {self.image_weight}, {self.rivalry}"
            )
        if not (0 < self.steepness < math.inf and 0 < self.sharpness < math.inf):
            raise ValueError(
                "steepness and sharpness must be finite and above 0, "
                f"got {self.steepness}, {self.sharpness}"
            )
        if not -math.inf < self.even_score < SCORE_CEILING:
            raise ValueError(f"even_score must be below {SCORE_CEILING}, got {self.even_score}")
        table = np.array(self.thresholds, dtype=np.float64)
        shape = (len(PRIORS), len(TARGETS))
        if table.shape != shape or not ((table >= 0) & (table <= NEVER)).all():
            raise ValueError(f"thresholds must be {shape} of 0 to {NEVER}, got {self.thresholds}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchProbability:
    """The models of an encoder; between two weights of the photo their numbers are interpolated.

    Attributes:
        models: One or more, by rising weight of the photo.
        match_prior: Share of the offers with a match, where a request does not say, above 0 to 1.

    Raises:
        ValueError: If the weights do not rise, or the prior is out of range.
    """

    models: tuple[MatchModel, ...]
    match_prior: float

    def __post_init__(self) -> None:
        weights = [model.image_weight for model in self.models]
        if not weights or weights != sorted(set(weights)):
            raise ValueError(f"models must be of rising weights of the photo, got {weights}")
        if not 0 < self.match_prior <= 1:
            raise ValueError(f"match_prior must be above 0 and at most 1, got {self.match_prior}")

    def to_values(self) -> dict[str, Any]:
        """Returns the models as JSON values, in the form that the contract holds."""
        return {
            "match_prior": self.match_prior,
            "list_length": LIST_LENGTH,
            "score_ceiling": SCORE_CEILING,
            "priors": list(PRIORS),
            "targets": list(TARGETS),
            "models": [
                asdict(model) | {"thresholds": list(map(list, model.thresholds))}
                for model in self.models
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfferLists:
    """The best candidates of each offer, best first.

    Attributes:
        scores: Scores, falling along a row, -inf where there is no candidate (Q, K).
        image_weights: Weight of the image in each score, 0 to 1 (Q, K).
        is_match: Whether a candidate is right, bool (Q, K).
        relevant_counts: Right products in the whole gallery, itself left out, int64 (Q,).
        has_itself: Offers that are in the gallery: they match themselves, bool (Q,).

    Raises:
        ValueError: If the shapes do not fit.
    """

    scores: Floats
    image_weights: Floats
    is_match: npt.NDArray[np.bool_]
    relevant_counts: npt.NDArray[np.int64]
    has_itself: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        shapes = [self.scores.shape, self.image_weights.shape, self.is_match.shape]
        if self.scores.ndim != 2 or len(set(shapes)) > 1:
            raise ValueError(f"scores, weights and labels must be (Q, K) each, got {shapes}")
        counts = [len(self), len(self.relevant_counts), len(self.has_itself)]
        if len(set(counts)) > 1:
            raise ValueError(f"lists, relevant counts and flags must be as many, got {counts}")

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Returns the lists of several searches of one gallery."""
        names = [each.name for each in fields(cls)]
        return cls(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})

    def rows(self, selection: npt.NDArray[np.bool_]) -> OfferLists:
        """Returns the selected offers."""
        return OfferLists(**{p.name: getattr(self, p.name)[selection] for p in fields(self)})

    def without_matches(self) -> OfferLists:
        """Returns the lists that a catalogue without the right products would give."""
        scores = np.where(self.is_match, -np.inf, self.scores)
        order = np.argsort(-scores, axis=1, kind="stable")
        return replace(
            self,
            scores=np.take_along_axis(scores, order, axis=1),
            image_weights=np.take_along_axis(self.image_weights, order, axis=1),
            is_match=np.zeros_like(self.is_match),
            relevant_counts=np.zeros_like(self.relevant_counts),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probabilities:
    """What the lists say.

    Attributes:
        matches: Probability that each candidate is right, 0 without a candidate (Q, K).
        no_match: Probability that the catalogue holds no right product (Q,).
    """

    matches: Floats
    no_match: Floats


def match_probabilities(
    lists: OfferLists, models: Sequence[MatchModel], match_prior: float
) -> Probabilities:
    """Applies the formula.

    Args:
        lists: The candidates of each offer.
        models: By rising weight of the photo.
        match_prior: Share of the offers that have a match, above 0 to 1.
    """
    steepness, even_score, sharpness, rivalry = (
        np.interp(
            lists.image_weights,
            [model.image_weight for model in models],
            [getattr(model, name) for model in models],
        )
        for name in ("steepness", "even_score", "sharpness", "rivalry")
    )  # (Q, K) each
    best = evidence(lists.scores, steepness, even_score).max(axis=1)
    held = np.where(best > -np.inf, expit(np.maximum(best, -1e9) + logit(match_prior)), 0.0)
    shares = right_shares(sharpness * (lists.scores - even_score), rivalry)
    return Probabilities(matches=held[:, None] * shares, no_match=1 - held)


def evidence(scores: Floats, steepness: Floats | float, even_score: Floats | float) -> Floats:
    """Returns the log-odds that a list with such a best score holds the right product."""
    distances = np.maximum(SCORE_CEILING - scores, SCORE_CEILING - 1)
    return steepness * (np.log(SCORE_CEILING - even_score) - np.log(distances))


def right_shares(leads: Floats, rivalry: Floats | float) -> Floats:
    """Returns the share of each candidate, given that the list holds a right one (Q, K).

    Args:
        leads: Logarithms of e_i; -inf where there is no candidate.
        rivalry: See `MatchModel`.
    """
    best = leads.max(axis=1, keepdims=True, initial=-1e9)
    weights = np.exp(leads - best)  # (Q, K)
    rivals = weights.sum(axis=1, keepdims=True) - weights
    return weights / np.maximum(weights + rivalry * rivals, 1e-300)


def match_thresholds(
    models: Sequence[MatchModel], image_weights: Floats, match_prior: float, target: float
) -> Floats:
    """Returns the probability from which on a candidate counts as a match, in their shape.

    A target above the known ones is itself the threshold, where that is higher.

    Args:
        models: By rising weight of the photo.
        image_weights: Weight of the image in each score.
        match_prior: Share of the offers that have a match, above 0 to 1.
        target: Share of the matches that are to be right, above 0 and below 1.
    """
    values = [
        np.interp(target, TARGETS, [np.interp(match_prior, PRIORS, c) for c in columns])
        for columns in (zip(*model.thresholds, strict=True) for model in models)
    ]
    found = np.interp(image_weights, [model.image_weight for model in models], values)
    return np.maximum(found, target) if target > TARGETS[-1] else found
