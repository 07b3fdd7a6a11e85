"""One modality pattern's search of the gallery, with the labels that evaluating it needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.evaluation.evaluation_config import EvaluationConfig
from twinshelf.training.evaluation.match_lists import MatchLists
from twinshelf.training.retrieval.embeddings import ModalityWeights
from twinshelf.training.retrieval.exact_search import Retrieval, retrieve
from twinshelf.training.retrieval.match_probability import LIST_LENGTH, OfferLists
from twinshelf.training.retrieval.relevance import pairs_by_group, rows_of_same_product


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """One pattern's search, with what evaluating it needs.

    Attributes:
        queries: The queries that have the pattern.
        found: What the search found.
        matches: The candidates with their labels, by query.
        clusters: What a query belongs to: its group, or itself without one.
        lists: The first of the candidates, as match probabilities are told from them.
    """

    queries: EmbeddedProducts
    found: Retrieval
    matches: MatchLists
    clusters: tuple[str, ...]
    lists: OfferLists


def search_gallery(
    queries: EmbeddedProducts,
    gallery: EmbeddedProducts,
    weights: ModalityWeights,
    config: EvaluationConfig,
) -> Search:
    """Searches the gallery for every query, leaving each out of its own search."""
    itself = rows_of_same_product(queries.product_ids, gallery.product_ids)
    relevant = pairs_by_group(queries.groups, gallery.groups, excluded=itself)
    found = retrieve(
        queries.embeddings,
        gallery.embeddings,
        weights=weights,
        relevant=relevant,
        k=config.candidate_count,
        excluded=itself,
        device=config.device,
    )
    codes = {group: code for code, group in enumerate(dict.fromkeys(gallery.groups)) if group}
    theirs = np.array([codes.get(group, -1) for group in gallery.groups], dtype=np.int64)
    ours = np.array([codes.get(group, -2) for group in queries.groups], dtype=np.int64)
    items = found.candidates.items
    scores = found.candidates.scores.astype(np.float64)
    is_match = (items >= 0) & (theirs[items] == ours[:, None])
    shares = gallery.embeddings.presence * np.array([weights.image, weights.text])  # (G, 2)
    image_weights = shares[:, 0] / np.maximum(shares.sum(axis=1), 1e-12)
    return Search(
        queries=queries,
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
