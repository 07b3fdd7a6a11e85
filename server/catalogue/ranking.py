"""From scores to a ranked answer: calibrated, filtered, sorted and cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.catalogue.product_record import StoredProduct
from server.encoders.contract import EncoderContract
from server.encoders.embedding import OfferEmbedding, Scores
from server.encoders.modalities import Pattern, Weights

CANDIDATES_PER_MATCH = 4
LEAST_CANDIDATES = 64
# A client takes messages of 4 MiB unless it is told otherwise; long texts must not break an answer.
PAGE_LIMIT_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for.

    Attributes:
        embedding: That of the offer.
        weights: How much each modality counts; sum to one, zero for a missing one.
        match_count: Most hits to return.
        min_probability: Least calibrated probability of a hit, 0 to 1.
        contract: That of the encoder that embedded the offer.
        skip_count: Best hits that are left out, as earlier pages had them.
        page_limit_bytes: Texts that a page of hits may hold; one hit always fits.
    """

    embedding: OfferEmbedding
    weights: Weights
    match_count: int
    min_probability: float
    contract: EncoderContract
    skip_count: int = 0
    page_limit_bytes: int = PAGE_LIMIT_BYTES

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


@dataclass(frozen=True, slots=True, kw_only=True)
class HitPage:
    """A page of the answer to a query.

    Attributes:
        hits: Best first.
        next_skip_count: The `skip_count` of the page that follows; None when this is the last.
        rescore_s: Time that reading and exact scoring of the candidates took, seconds.
    """

    hits: tuple[Hit, ...]
    next_skip_count: int | None
    rescore_s: float


def rank(scores: Scores, product_ids: Sequence[str], query: Query) -> list[Ranked]:
    """Ranks N scored candidates: best first, equal scores by product_id.

    Args:
        scores: Those of the candidates.
        product_ids: N identifiers.
        query: What was looked for.
    """
    patterns = _patterns(scores) & int(query.weights.pattern)  # (N,)
    probabilities = np.zeros(len(patterns))
    for pattern, curve in query.contract.calibration.items():
        there = patterns == pattern
        probabilities[there] = np.interp(scores.total[there], curve.scores, curve.probabilities)
    kept = np.flatnonzero((patterns != Pattern.NONE) & (probabilities >= query.min_probability))
    best = sorted(kept.tolist(), key=lambda i: (-scores.total[i], product_ids[i]))
    return [
        Ranked(
            position=i,
            score=float(scores.total[i]),
            probability=float(probabilities[i]),
            pattern=Pattern(int(patterns[i])),
            image_score=_number(scores.image[i]),
            text_score=_number(scores.text[i]),
        )
        for i in best[: query.match_count]
    ]


def _patterns(scores: Scores) -> npt.NDArray[np.int64]:
    """The modalities (N,) that the offer and each candidate share."""
    image, text = ~np.isnan(scores.image), ~np.isnan(scores.text)
    return image * int(Pattern.IMAGE) + text * int(Pattern.TEXT)


def _number(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)
