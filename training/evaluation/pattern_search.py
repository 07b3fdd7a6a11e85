"""One modality pattern's search of the gallery, with the labels that evaluating it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.retrieval.exact_search import Retrieval, retrieve
from twinshelf.training.retrieval.match_probability import LIST_LENGTH, Floats, OfferLists
from twinshelf.training.retrieval.metrics import pairs_by_group, rows_of_same_product
from twinshelf.training.retrieval.scored_pairs import ScoredPairs


def candidate_pairs(lists: OfferLists, count: int | None = None) -> ScoredPairs:
    """Returns the pairs of queries with their first candidates, or all; others are missed."""
    scores, labels = lists.scores[:, :count], lists.is_match[:, :count]
    valid = np.isfinite(scores)
    return ScoredPairs(
        scores=scores[valid],
        is_match=labels[valid],
        missed_count=int(lists.relevant_counts.sum() - labels[valid].sum()),
    )


def row_f1(lists: OfferLists, threshold: float, least_count: int = 0) -> Floats:
    """Returns each query's F1 of the candidates at or above a threshold, 0 to 1 (Q,).

    The first ones are accepted whatever their score, as many as `least_count` says.
    A query without relevant items has 1 exactly when it gets no match; it is counted in, for not
    matching is half of the job.

    Source: "mean F1" of Kaggle's Shopee Price Match Guarantee (2021), where a row matches itself.
    """
    is_first = np.arange(lists.scores.shape[1]) < least_count
    accepted = np.isfinite(lists.scores) & ((lists.scores >= threshold) | is_first)
    hits = (lists.is_match & accepted).sum(axis=1)
    return _f1(lists, hits, accepted.sum(axis=1))


def best_row_rule(lists: OfferLists) -> tuple[float, int]:
    """Returns threshold and least count, 0 or 1, with the highest mean of `row_f1`.

    Of equals the lower count, then the higher threshold; where nothing more is to be accepted it
    lies just above the highest score.

    Raises:
        ValueError: If there is no candidate at all.
    """
    valid = np.isfinite(lists.scores)
    if not valid.any():
        raise ValueError("a threshold needs at least one candidate, got none")
    # Accepting a query's next candidate changes its own F1 only: the mean at every threshold is a
    # running sum of these changes in the order of scores.
    places = np.arange(1, lists.scores.shape[1] + 1)
    hits = np.cumsum(lists.is_match, axis=1)  # (Q, K)
    after = np.stack([_f1(lists, hits[:, k - 1], np.full(len(hits), k)) for k in places], axis=1)
    nothing = np.zeros(len(hits), dtype=np.int64)
    before = np.concatenate([_f1(lists, nothing, nothing)[:, None], after[:, :-1]], axis=1)
    changes, top = (after - before)[valid], np.nextafter(lists.scores[valid].max(), np.inf)
    rules = []
    for least_count in (0, 1):
        scores = np.where(places <= least_count, top, lists.scores)[valid]
        order = np.argsort(-scores, kind="stable")
        scores, gains = np.append(top, scores[order]), np.append(0, np.cumsum(changes[order]))
        lasts = np.flatnonzero(np.append(np.diff(scores) < 0, True))
        best = lasts[np.argmax(np.round(gains[lasts], 9))]
        rules.append((round(gains[best], 9), float(scores[best]), least_count))
    return max(rules, key=lambda rule: rule[0])[1:]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """One pattern's search, with what evaluating it needs.

    Attributes:
        queries: The queries that have the pattern.
        gallery: Products that were searched.
        image_weight: Weight of the image in the score, 0 to 1.
        found: What the search found.
        lists: The candidates with their labels, by query.
    """

    queries: EmbeddedProducts
    gallery: EmbeddedProducts
    image_weight: float
    found: Retrieval
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
        k=LIST_LENGTH,
        excluded=itself,
        device=device,
    )
    items = found.candidates.items
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
        lists=OfferLists(
            scores=found.candidates.scores.astype(np.float64),
            image_weights=image_weights[items],
            is_match=is_match,
            relevant_counts=found.ranks.relevant_counts,
            has_itself=itself >= 0,
        ),
    )


def _f1(lists: OfferLists, hits: npt.NDArray[Any], accepted_counts: npt.NDArray[Any]) -> Floats:
    itself = lists.has_itself.astype(np.int64)
    sizes = accepted_counts + lists.relevant_counts + 2 * itself
    return np.where(sizes == 0, 1.0, 2 * (hits + itself) / np.maximum(sizes, 1))
