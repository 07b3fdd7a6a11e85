"""One modality pattern's search of the gallery, with the labels that evaluating it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.evaluation.scored_pairs import ScoredPairs
from twinshelf.training.retrieval.exact_search import Retrieval, retrieve
from twinshelf.training.retrieval.match_probability import LIST_LENGTH, OfferLists
from twinshelf.training.retrieval.metrics import pairs_by_group, rows_of_same_product

Floats = npt.NDArray[np.float64]
CANDIDATE_COUNT = 50  # of a query, which thresholds for pairs and rows may accept


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatchLists:
    """The best candidates of each query, best first.

    Attributes:
        scores: Scores, falling along a row, -inf where there is no candidate (Q, K).
        is_match: Whether a candidate is right, bool (Q, K).
        relevant_counts: Right products in the whole gallery, itself left out, int64 (Q,).
        has_itself: Queries that are in the gallery: they match themselves in both sets, bool (Q,).

    Raises:
        ValueError: If the shapes do not fit.
    """

    scores: Floats
    is_match: npt.NDArray[np.bool_]
    relevant_counts: npt.NDArray[np.int64]
    has_itself: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        query_count = len(self.relevant_counts)
        if self.scores.ndim != 2 or self.scores.shape != self.is_match.shape:
            raise ValueError(
                "scores and labels must be (Q, K) each, "
                f"got {self.scores.shape} and {self.is_match.shape}"
            )
        if len(self.scores) != query_count or self.has_itself.shape != (query_count,):
            raise ValueError(
                f"{len(self.scores)} rows of scores, {query_count} relevant counts and "
                f"{len(self.has_itself)} flags must be as many"
            )

    def rows(self, selection: npt.NDArray[np.bool_]) -> MatchLists:
        """Returns the selected queries."""
        return MatchLists(
            scores=self.scores[selection],
            is_match=self.is_match[selection],
            relevant_counts=self.relevant_counts[selection],
            has_itself=self.has_itself[selection],
        )

    def pairs(self, count: int | None = None) -> ScoredPairs:
        """Returns the pairs of queries with their first candidates, or all; others are missed."""
        scores, labels = self.scores[:, :count], self.is_match[:, :count]
        valid = np.isfinite(scores)
        return ScoredPairs(
            scores=scores[valid],
            is_match=labels[valid],
            missed_count=int(self.relevant_counts.sum() - labels[valid].sum()),
        )


def row_f1(matches: MatchLists, threshold: float) -> Floats:
    """Returns each query's F1 of the candidates at or above a threshold, 0 to 1 (Q,).

    A query without relevant items has 1 exactly when it gets no match; it is counted in, for not
    matching is half of the job.

    Source: "mean F1" of Kaggle's Shopee Price Match Guarantee (2021), where a row matches itself.
    """
    accepted = np.isfinite(matches.scores) & (matches.scores >= threshold)
    hits = (matches.is_match & accepted).sum(axis=1)
    return _f1(matches, hits, accepted.sum(axis=1))


def best_row_threshold(matches: MatchLists) -> float:
    """Returns the threshold with the highest mean of `row_f1`; of equals the highest.

    When accepting nothing is best it lies just above the highest score.

    Raises:
        ValueError: If there is no candidate at all.
    """
    valid = np.isfinite(matches.scores)
    if not valid.any():
        raise ValueError("a threshold needs at least one candidate, got none")
    # Accepting a query's next candidate changes its own F1 only: the mean at every threshold is a
    # running sum of these changes in the order of scores.
    places = np.arange(1, matches.scores.shape[1] + 1)
    hits = np.cumsum(matches.is_match, axis=1)  # (Q, K)
    after = np.stack([_f1(matches, hits[:, k - 1], np.full(len(hits), k)) for k in places], axis=1)
    nothing = np.zeros(len(hits), dtype=np.int64)
    before = np.concatenate([_f1(matches, nothing, nothing)[:, None], after[:, :-1]], axis=1)
    scores, changes = matches.scores[valid], (after - before)[valid]
    order = np.argsort(-scores, kind="stable")
    scores, gains = scores[order], np.cumsum(changes[order])
    lasts = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    best = lasts[np.argmax(np.round(gains[lasts], 9))]
    if gains[best] <= 0:
        return float(np.nextafter(scores[0], np.inf))
    return float(scores[best])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """One pattern's search, with what evaluating it needs.

    Attributes:
        queries: The queries that have the pattern.
        gallery: Products that were searched.
        image_weight: Share of the photo in the score, 0 to 1.
        found: What the search found.
        matches: The candidates with their labels, by query.
        clusters: What a query belongs to: its group, or itself without one.
        lists: The first of the candidates, as match probabilities are told from them.
    """

    queries: EmbeddedProducts
    gallery: EmbeddedProducts
    image_weight: float
    found: Retrieval
    matches: MatchLists
    clusters: tuple[str, ...]
    lists: OfferLists


def search_gallery(
    queries: EmbeddedProducts,
    gallery: EmbeddedProducts,
    image_weight: float,
    *,
    device: str = "cpu",
) -> Search:
    """Searches the gallery for every query, leaving each out of its own search."""
    itself = rows_of_same_product(queries.product_ids, gallery.product_ids)
    relevant = pairs_by_group(queries.groups, gallery.groups, excluded=itself)
    found = retrieve(
        queries.embeddings,
        gallery.embeddings,
        image_weight=image_weight,
        relevant=relevant,
        k=CANDIDATE_COUNT,
        excluded=itself,
        device=device,
    )
    items = found.candidates.items
    scores = found.candidates.scores.astype(np.float64)
    codes, _ = pd.factorize(np.array([*queries.groups, *gallery.groups], dtype=object))
    ours, theirs = codes[: len(queries)], codes[len(queries) :]
    has_group = np.array([bool(group) for group in queries.groups])
    is_match = (items >= 0) & (theirs[items] == ours[:, None]) & has_group[:, None]
    shares = gallery.embeddings.presence * np.array([image_weight, 1 - image_weight])  # (G, 2)
    image_weights = shares[:, 0] / np.maximum(shares.sum(axis=1), 1e-12)
    return Search(
        queries=queries,
        gallery=gallery,
        image_weight=image_weight,
        found=found,
        matches=MatchLists(
            scores=scores,
            is_match=is_match,
            relevant_counts=found.ranks.relevant_counts,
            has_itself=itself >= 0,
        ),
        clusters=tuple(
            f"group {group}" if group else f"product {product_id}"
            for group, product_id in zip(queries.groups, queries.product_ids, strict=True)
        ),
        lists=OfferLists(
            scores=scores[:, :LIST_LENGTH],
            image_weights=image_weights[items[:, :LIST_LENGTH]],
            is_match=is_match[:, :LIST_LENGTH],
        ),
    )


def _f1(matches: MatchLists, hits: npt.NDArray[Any], accepted_counts: npt.NDArray[Any]) -> Floats:
    itself = matches.has_itself.astype(np.int64)
    sizes = accepted_counts + matches.relevant_counts + 2 * itself
    return np.where(sizes == 0, 1.0, 2 * (hits + itself) / np.maximum(sizes, 1))
