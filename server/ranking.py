"""From scores to a ranked answer: calibrated, filtered, sorted and cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from server.contract import EncoderContract
from server.embedding import OfferEmbedding, Scores
from server.modalities import Pattern, Weights
from server.product_record import StoredProduct

CANDIDATES_PER_MATCH = 4
LEAST_CANDIDATES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for.

    Attributes:
        embedding: That of the offer.
        weights: How much each modality counts; sum to one, zero for a missing one.
        match_count: Most hits to return.
        min_probability: Least calibrated probability of a hit, 0 to 1.
        contract: That of the encoder that embedded the offer.
    """

    embedding: OfferEmbedding
    weights: Weights
    match_count: int
    min_probability: float
    contract: EncoderContract

    @property
    def candidate_count(self) -> int:
        """Products of each pattern that are rescored before the best are kept."""
        return max(CANDIDATES_PER_MATCH * self.match_count, LEAST_CANDIDATES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One candidate that made it into the answer.

    Attributes:
        position: Its place among the candidates.
        score: Weighted mean of the cosines of the shared modalities, -1 to 1.
        probability: Calibrated probability, 0 to 1.
        pattern: The modalities that made the score.
        image_score: Cosine of the photos, or None.
        text_score: Cosine of the texts, or None.
    """

    position: int
    score: float
    probability: float
    pattern: Pattern
    image_score: float | None
    text_score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A product that an offer may show, and how alike the two are."""

    product: StoredProduct
    ranked: Ranked


def rank(scores: Scores, product_ids: Sequence[str], query: Query) -> list[Ranked]:
    """Ranks N scored candidates: best first, equal scores by product_id.

    Args:
        scores: Those of the candidates.
        product_ids: N identifiers.
        query: What was looked for.
    """
    ranked = [
        _ranked(position, scores, query)
        for position in range(len(product_ids))
        if not np.isnan(scores.total[position])
    ]
    kept = [item for item in ranked if item.probability >= query.min_probability]
    kept.sort(key=lambda item: (-item.score, product_ids[item.position]))
    return kept[: query.match_count]


def _ranked(position: int, scores: Scores, query: Query) -> Ranked:
    image, text = float(scores.image[position]), float(scores.text[position])
    has_image, has_text = not np.isnan(image), not np.isnan(text)
    pattern = Pattern.of(image=has_image, text=has_text) & query.weights.pattern
    score = float(scores.total[position])
    return Ranked(
        position=position,
        score=score,
        probability=query.contract.calibration[Pattern(pattern)].probability(score),
        pattern=Pattern(pattern),
        image_score=image if has_image else None,
        text_score=text if has_text else None,
    )
