"""From scores to a ranked answer: sorted, judged, filtered and cut."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.product_filter import ProductFilter
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
class ValueLimit:
    """At most so many hits that share a value; products without a value are not limited.

    Attributes:
        field: "seller", "brand", "category", or "attributes." and the name of an attribute.
        match_count: Most hits of a value, 1 or more.
    """

    field: str
    match_count: int


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
        condition: What must hold for a product to be found; None takes all.
        excluded_ids: Products that are left out, whatever they are.
        value_limit: How many hits may share a value; None allows any number.
        skip_count: Best hits that are left out, as earlier pages had them.
        is_brief: Whether hits hold an identifier, a short title and a category only; then a page
            has them all.
    """

    embedding: OfferEmbedding
    weights: Weights
    match_count: int
    min_probability: float
    match_prior: float
    target_precision: float
    contract: EncoderContract
    condition: ProductFilter | None = None
    excluded_ids: tuple[str, ...] = ()
    value_limit: ValueLimit | None = None
    skip_count: int = 0
    is_brief: bool = False

    @property
    def candidate_count(self) -> int:
        """Products of each part of the index that are scored before the best are kept."""
        spare_count = self.match_count // MATCHES_PER_SPARE + len(self.excluded_ids)
        list_length = self.contract.match_probability.list_length
        return max(self.match_count + spare_count, LEAST_CANDIDATES, list_length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One candidate that made it into the answer.

    Attributes:
        product_number: Internal number of the product.
        product_pattern: Modalities that the product has.
        score: Weighted mean of the cosines of the shared modalities, -1 to 1.
        probability: Probability that it is the same item, 0 to 1.
        is_match: Whether it is, at the precision asked for.
        pattern: The modalities that made the score.
        image_score: Cosine of the photos, or None.
        text_score: Cosine of the texts, or None.
    """

    product_number: int
    product_pattern: Pattern
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
        count: How many were found, those that are skipped too; `match_count` at most.
        no_match_probability: Probability that the catalogue holds no match, 0 to 1.
    """

    best: tuple[Ranked, ...]
    count: int
    no_match_probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A product that an offer may show, and how alike the two are."""

    product: StoredProduct
    ranked: Ranked


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterPlan:
    """How a filtered search was done.

    Attributes:
        is_exact: Whether every allowed product was looked at; else the graph proposed candidates.
        allowed_count: Products that the filter allows.
    """

    is_exact: bool
    allowed_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HitPage:
    """A page of the answer to a query.

    Attributes:
        hits: Best first.
        next_skip_count: The `skip_count` of the page that follows; None when this is the last.
        no_match_probability: Probability that the catalogue holds no match, 0 to 1.
        rescore_s: Time that reading and exact scoring of the candidates took, seconds.
        plan: How the search was done; None without a filter.
    """

    hits: tuple[Hit, ...]
    next_skip_count: int | None
    no_match_probability: float
    rescore_s: float
    plan: FilterPlan | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """N products of the same modalities, some of which an offer shares.

    Attributes:
        product_numbers: (N,) internal numbers.
        scores: How alike they are to the offer.
        pattern: Modalities that the products have.
        value_keys: (N,) keys of the values that a limit counts, 0 for none; None without a limit.
    """

    product_numbers: npt.NDArray[np.int64]
    scores: Scores
    pattern: Pattern
    value_keys: npt.NDArray[np.int64] | None = None


def rank(candidates: Sequence[Candidates], query: Query) -> Ranking:
    """Ranks candidates: best first, of equal scores the product that was stored first.

    Args:
        candidates: Those of each pattern and part of the index; of a product that comes twice, by
            another photo or as it was being replaced, the best one is kept.
        query: What was looked for.

    Returns:
        The `match_count` best, without the `skip_count` first of them.
    """
    if not candidates:
        return Ranking(best=(), count=0, no_match_probability=1.0)
    totals = np.concatenate([each.scores.total for each in candidates])
    numbers = np.concatenate([each.product_numbers for each in candidates])
    order = _best_first(totals, numbers)
    judged = query.contract.match_probability.judge(
        totals[order].astype(np.float64),
        _image_weights(candidates, query, order),
        match_prior=query.match_prior,
        target_precision=query.target_precision,
    )
    # As answers tell them: else the probability of a match would leave out that very match.
    told = judged.probabilities.astype(np.float32)
    likely = np.flatnonzero(told >= np.float32(query.min_probability))
    if query.value_limit is not None:
        keys = _value_keys(candidates)[order][likely]
        likely = likely[(keys == 0) | (_count_before(keys) < query.value_limit.match_count)]
    chosen = likely[query.skip_count : query.match_count]
    starts = [0, *accumulate(len(each.product_numbers) for each in candidates)]
    shared = [Pattern(each.pattern & query.weights.pattern) for each in candidates]
    best = []
    # As lists: numbers of Python are taken from numpy all at once, not one by one.
    for place, score, probability, is_match in zip(
        order[chosen].tolist(),
        totals[order[chosen]].tolist(),
        judged.probabilities[chosen].tolist(),
        judged.is_match[chosen].tolist(),
        strict=True,
    ):
        owner_number = bisect_right(starts, place) - 1
        owner, row = candidates[owner_number], place - starts[owner_number]
        image, text = owner.scores.image, owner.scores.text
        best.append(
            Ranked(
                product_number=owner.product_numbers.item(row),
                product_pattern=owner.pattern,
                score=_bounded(score),
                probability=probability,
                is_match=is_match,
                pattern=shared[owner_number],
                image_score=None if image is None else _bounded(image.item(row)),
                text_score=None if text is None else _bounded(text.item(row)),
            )
        )
    return Ranking(
        best=tuple(best),
        count=min(len(likely), query.match_count),
        no_match_probability=judged.no_match_probability,
    )


def full_values(candidates: Sequence[Candidates], limit: ValueLimit) -> npt.NDArray[np.int64]:
    """Returns the keys of the values that have as many candidates as a limit allows hits."""
    if not candidates:  # no product meets the condition
        return np.empty(0, np.int64)
    numbers = np.concatenate([each.product_numbers for each in candidates])
    _, firsts = np.unique(numbers, return_index=True)
    keys = _value_keys(candidates)
    values, counts = np.unique(keys[firsts], return_counts=True)
    full: npt.NDArray[np.int64] = values[(counts >= limit.match_count) & (values != 0)]
    return full


def _best_first(
    totals: npt.NDArray[np.float32], numbers: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Returns the places of N candidates, each product once, where its score is the best."""
    order = np.lexsort((numbers, -totals))
    if len(set(numbers.tolist())) == len(numbers):
        return order
    _, firsts = np.unique(numbers[order], return_index=True)
    return order[np.sort(firsts)]


def _value_keys(candidates: Sequence[Candidates]) -> npt.NDArray[np.int64]:
    return np.concatenate([each.value_keys for each in candidates if each.value_keys is not None])


def _count_before(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Counts, for each of N keys, the equal ones that stand before it."""
    order = np.argsort(keys, kind="stable")
    _, counts = np.unique(keys, return_counts=True)
    before = np.empty(len(keys), dtype=np.int64)
    before[order] = np.arange(len(keys)) - np.repeat(np.cumsum(counts) - counts, counts)
    return before


def _image_weights(
    candidates: Sequence[Candidates], query: Query, order: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Returns the weight of the photo in each score, in order; one for all where all are equal."""
    shares = [query.weights.restricted_to(each.pattern).image for each in candidates]
    if len(set(shares)) == 1:
        return np.array(shares[:1])
    return np.repeat(shares, [len(each.product_numbers) for each in candidates])[order]


def _bounded(cosine: float) -> float:
    """A cosine without what fp16 adds to it beyond 1."""
    return min(1.0, max(-1.0, cosine))
