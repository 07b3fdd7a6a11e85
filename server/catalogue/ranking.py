"""From scores to a ranked answer: sorted, judged, filtered and cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Self

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.product_filter import ProductFilter
from twinshelf.server.catalogue.product_record import StoredProduct
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding, Scores
from twinshelf.server.encoders.match_probability import JudgedCandidates
from twinshelf.server.encoders.modalities import Pattern, Weights

LEAST_CANDIDATES = 64
# Of every eight matches one more candidate, for what the index ranks a little off.
MATCHES_PER_SPARE = 8
# A client takes messages of 4 MiB unless it is told otherwise; long texts must not break an answer.
PAGE_LIMIT_BYTES = 2 * 1024 * 1024
# By its number: to ask the class for each hit would take longer.
_PATTERNS = tuple(Pattern)


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
    """N candidates of some queries: products of the same modalities, some of which offers share.

    Attributes:
        query_numbers: (N,) the query of each, from 0.
        product_numbers: (N,) internal numbers.
        scores: How alike they are to their offers.
        pattern: Modalities that the products have.
        value_keys: (N,) keys of the values that a limit counts, 0 for none; None without a limit.
    """

    query_numbers: npt.NDArray[np.int64]
    product_numbers: npt.NDArray[np.int64]
    scores: Scores
    pattern: Pattern
    value_keys: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Candidates of all parts, each column (N,); a cosine that there is not is NaN."""

    query_numbers: npt.NDArray[np.int64]
    product_numbers: npt.NDArray[np.int64]
    patterns: npt.NDArray[np.int64]
    totals: npt.NDArray[np.float32]
    images: npt.NDArray[np.float32]
    texts: npt.NDArray[np.float32]
    image_weights: npt.NDArray[np.float64]
    value_keys: npt.NDArray[np.int64]

    @classmethod
    def of(cls, candidates: Candidates, queries: Sequence[Query]) -> Self:
        """Returns those of one part."""
        scores, pattern = candidates.scores, candidates.pattern
        shares = np.array([query.weights.restricted_to(pattern).image for query in queries])
        count = len(candidates.product_numbers)
        missing, keys = np.full(count, np.nan, dtype=np.float32), candidates.value_keys
        return cls(
            query_numbers=candidates.query_numbers,
            product_numbers=candidates.product_numbers,
            patterns=np.full(count, int(pattern)),
            totals=scores.total,
            images=missing if scores.image is None else scores.image,
            texts=missing if scores.text is None else scores.text,
            image_weights=shares[candidates.query_numbers],
            value_keys=np.zeros(count, dtype=np.int64) if keys is None else keys,
        )

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Returns those of all parts, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            **{
                name: np.concatenate([getattr(each, name) for each in parts])
                for name in cls.__slots__
            }
        )

    def take(self, places: npt.NDArray[np.int64]) -> Self:
        """Returns those of some places."""
        return type(self)(**{name: getattr(self, name)[places] for name in self.__slots__})


def rank(candidates: Sequence[Candidates], queries: Sequence[Query]) -> list[Ranking]:
    """Ranks candidates: best first, of equal scores the product that was stored first.

    Args:
        candidates: Those of each pattern and part of the index; of a product that comes twice, by
            another photo or as it was being replaced, the best one is kept.
        queries: What was looked for, by offers of one contract, with the same modalities weighed.

    Returns:
        For each query the `match_count` best, without the `skip_count` first of them.
    """
    if not candidates:
        return [Ranking(best=(), count=0, no_match_probability=1.0) for _ in queries]
    rows = _Rows.join([_Rows.of(each, queries) for each in candidates])
    order = _best_first(rows)
    query_numbers = rows.query_numbers[order]
    judged = queries[0].contract.match_probability.judge(
        rows.totals[order].astype(np.float64),
        rows.image_weights[order],
        np.bincount(query_numbers, minlength=len(queries)),
        match_priors=np.array([query.match_prior for query in queries]),
        target_precisions=np.array([query.target_precision for query in queries]),
    )
    # As answers tell them: else the probability of a match would leave out that very match.
    told = judged.probabilities.astype(np.float32)
    least = np.array([query.min_probability for query in queries], dtype=np.float32)
    places = np.flatnonzero(told >= least[query_numbers])
    firsts = np.searchsorted(query_numbers[places], np.arange(1, len(queries)))
    likely = [
        own
        if query.value_limit is None
        else _limited(rows.value_keys[order], own, query.value_limit)
        for query, own in zip(queries, np.split(places, firsts), strict=True)
    ]
    chosen = [
        own[query.skip_count : query.match_count]
        for query, own in zip(queries, likely, strict=True)
    ]
    shown = np.concatenate(chosen)
    best = _ranked(rows.take(order[shown]), judged, shown, queries[0].weights.pattern)
    return [
        Ranking(
            best=tuple(islice(best, len(chosen[number]))),
            count=min(len(likely[number]), query.match_count),
            no_match_probability=judged.no_match_probabilities.item(number),
        )
        for number, query in enumerate(queries)
    ]


def _ranked(
    best: _Rows, judged: JudgedCandidates, places: npt.NDArray[np.int64], weighed: Pattern
) -> Iterator[Ranked]:
    """Yields candidates, which were judged at some places."""
    # As lists: numbers of Python are taken from numpy all at once, not one by one.
    for number, pattern, score, image, text, probability, is_match in zip(
        best.product_numbers.tolist(),
        best.patterns.tolist(),
        _bounded(best.totals),
        _bounded(best.images),
        _bounded(best.texts),
        judged.probabilities[places].tolist(),
        judged.is_match[places].tolist(),
        strict=True,
    ):
        yield Ranked(
            product_number=number,
            product_pattern=_PATTERNS[pattern],
            score=score,
            probability=probability,
            is_match=is_match,
            pattern=_PATTERNS[pattern & weighed],
            image_score=None if image != image else image,
            text_score=None if text != text else text,
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


def _best_first(rows: _Rows) -> npt.NDArray[np.int64]:
    """Returns the places of candidates by query, each product once, where its score is the best."""
    order: npt.NDArray[np.int64] = np.lexsort(
        (rows.product_numbers, -rows.totals, rows.query_numbers)
    )
    pairs = rows.query_numbers * (rows.product_numbers.max(initial=0) + 1) + rows.product_numbers
    _, firsts = np.unique(pairs[order], return_index=True)
    return order if len(firsts) == len(order) else order[np.sort(firsts)]


def _value_keys(candidates: Sequence[Candidates]) -> npt.NDArray[np.int64]:
    return np.concatenate([each.value_keys for each in candidates if each.value_keys is not None])


def _limited(
    value_keys: npt.NDArray[np.int64], places: npt.NDArray[np.int64], limit: ValueLimit
) -> npt.NDArray[np.int64]:
    """Returns those of rising places at which no value comes more often than it may."""
    keys = value_keys[places]
    kept: npt.NDArray[np.int64] = places[(keys == 0) | (_count_before(keys) < limit.match_count)]
    return kept


def _count_before(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Counts, for each of N keys, the equal ones that stand before it."""
    order = np.argsort(keys, kind="stable")
    _, counts = np.unique(keys, return_counts=True)
    before = np.empty(len(keys), dtype=np.int64)
    before[order] = np.arange(len(keys)) - np.repeat(np.cumsum(counts) - counts, counts)
    return before


def _bounded(cosines: npt.NDArray[np.float32]) -> list[float]:
    """Cosines without what fp16 adds to them beyond 1."""
    bounded: list[float] = np.clip(cosines, -1, 1).tolist()
    return bounded
