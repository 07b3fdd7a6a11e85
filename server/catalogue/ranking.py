"""From scores to a ranked answer: sorted, judged, filtered and cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.product_record import StoredProduct
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding, Scores
from twinshelf.server.encoders.modalities import Pattern, Weights

LEAST_CANDIDATES = 64
# Of every eight matches one more candidate, for what the index ranks a little off.
MATCHES_PER_SPARE = 8
# A client takes messages of 4 MiB unless it is told otherwise; long texts must not break an answer.
PAGE_LIMIT_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for.

    Attributes:
        embedding: That of the offer.
        weights: How much each modality counts; sum to one, zero for a missing one.
        match_count: Most hits to return.
        min_probability: Least probability of a hit, 0 to 1.
        match_prior: Share of such offers that have a match in the catalogue, above 0 to 1.
        target_precision: Share of the matches that are to be right, above 0 and below 1.
        contract: That of the encoder that embedded the offer.
        skip_count: Best hits that are left out, as earlier pages had them.
        page_limit_bytes: Texts that a page of hits may hold; one hit always fits.
    """

    embedding: OfferEmbedding
    weights: Weights
    match_count: int
    min_probability: float
    match_prior: float
    target_precision: float
    contract: EncoderContract
    skip_count: int = 0
    page_limit_bytes: int = PAGE_LIMIT_BYTES

    @property
    def candidate_count(self) -> int:
        """Products of each part of the index that are scored before the best are kept."""
        spare_count = self.match_count // MATCHES_PER_SPARE
        list_length = self.contract.match_probability.list_length
        return max(self.match_count + spare_count, LEAST_CANDIDATES, list_length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One candidate that made it into the answer.

    Attributes:
        product_number: Internal number of the product.
        score: Weighted mean of the cosines of the shared modalities, -1 to 1.
        probability: Probability that it is the same item, 0 to 1.
        is_match: Whether it is, at the precision asked for.
        pattern: The modalities that made the score.
        image_score: Cosine of the photos, or None.
        text_score: Cosine of the texts, or None.
    """

    product_number: int
    score: float
    probability: float
    is_match: bool
    pattern: Pattern
    image_score: float | None
    text_score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The ranked candidates of an offer.

    Attributes:
        best: Best first.
        no_match_probability: Probability that the catalogue holds no match, 0 to 1.
    """

    best: tuple[Ranked, ...]
    no_match_probability: float


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
        no_match_probability: Probability that the catalogue holds no match, 0 to 1.
        rescore_s: Time that reading and exact scoring of the candidates took, seconds.
    """

    hits: tuple[Hit, ...]
    next_skip_count: int | None
    no_match_probability: float
    rescore_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """N products that share the same modalities with an offer.

    Attributes:
        product_numbers: (N,) internal numbers.
        scores: How alike they are to the offer.
        pattern: The modalities that are shared and count.
    """

    product_numbers: npt.NDArray[np.int64]
    scores: Scores
    pattern: Pattern


def rank(candidates: Sequence[Candidates], query: Query) -> Ranking:
    """Ranks candidates: best first, of equal scores the product that was stored first.

    Args:
        candidates: Those of each pattern and part of the index; of a product that comes twice, as
            it was being replaced, the better one is kept.
        query: What was looked for.

    Returns:
        The `match_count` best, without the `skip_count` first of them.
    """
    if not candidates:
        return Ranking(best=(), no_match_probability=1.0)
    totals = np.concatenate([each.scores.total for each in candidates])
    numbers = np.concatenate([each.product_numbers for each in candidates])
    owners = np.repeat(
        np.arange(len(candidates)), [len(each.product_numbers) for each in candidates]
    )
    order = np.lexsort((numbers, -totals))
    _, firsts = np.unique(numbers[order], return_index=True)
    order = order[np.sort(firsts)]
    shares = np.array([query.weights.restricted_to(each.pattern).image for each in candidates])
    judged = query.contract.match_probability.judge(
        totals[order].astype(np.float64),
        shares[owners[order]],
        match_prior=query.match_prior,
        target_precision=query.target_precision,
    )
    starts = np.cumsum([0, *(len(each.product_numbers) for each in candidates)])
    ranked = []
    likely = np.flatnonzero(judged.probabilities >= query.min_probability)
    for rank_number in likely[query.skip_count : query.match_count].tolist():
        place = int(order[rank_number])
        owner = candidates[owners[place]]
        scores, row = owner.scores, place - int(starts[owners[place]])
        ranked.append(
            Ranked(
                product_number=int(numbers[place]),
                score=_bounded(totals[place]),
                probability=float(judged.probabilities[rank_number]),
                is_match=bool(judged.is_match[rank_number]),
                pattern=owner.pattern,
                image_score=None if scores.image is None else _bounded(scores.image[row]),
                text_score=None if scores.text is None else _bounded(scores.text[row]),
            )
        )
    return Ranking(best=tuple(ranked), no_match_probability=judged.no_match_probability)


def _bounded(cosine: np.float32) -> float:
    """A cosine without what fp16 adds to it beyond 1."""
    return min(1.0, max(-1.0, float(cosine)))
