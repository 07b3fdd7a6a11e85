"""One modality pattern's search of the gallery, with the labels that judging it needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.calibration import PATTERNS
from training.embeddings import ModalityWeights
from training.evaluation.embedded import EmbeddedProducts
from training.evaluation.row_f1 import MatchLists
from training.evaluation.settings import EvaluationSettings
from training.relevance import pairs_by_group, rows_of_same_product
from training.retrieval import Retrieval, retrieve


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """One pattern's search, with what judging it needs.

    Attributes:
        queries: The queries that have the pattern.
        found: What the search found.
        matches: The candidates with their labels, by query.
        clusters: What a query belongs to: its group, or itself without one.
    """

    queries: EmbeddedProducts
    found: Retrieval
    matches: MatchLists
    clusters: tuple[str, ...]


def rows_with_pattern(queries: EmbeddedProducts, pattern: str) -> npt.NDArray[np.bool_]:
    """Returns which queries have all modalities of a pattern, bool (Q,)."""
    presence = queries.embeddings.presence
    if pattern == "both":
        return np.asarray(presence.all(axis=1))
    return presence[:, PATTERNS.index(pattern)]


def search_gallery(
    queries: EmbeddedProducts,
    gallery: EmbeddedProducts,
    weights: ModalityWeights,
    settings: EvaluationSettings,
) -> Search:
    """Searches the gallery for every query, leaving each out of its own search."""
    itself = rows_of_same_product(queries.product_ids, gallery.product_ids)
    relevant = pairs_by_group(queries.groups, gallery.groups, excluded=itself)
    found = retrieve(
        queries.embeddings,
        gallery.embeddings,
        weights=weights,
        relevant=relevant,
        k=settings.candidate_count,
        excluded=itself,
        device=settings.device,
    )
    codes = {group: code for code, group in enumerate(dict.fromkeys(gallery.groups)) if group}
    theirs = np.array([codes.get(group, -1) for group in gallery.groups], dtype=np.int64)
    ours = np.array([codes.get(group, -2) for group in queries.groups], dtype=np.int64)
    items = found.candidates.items
    return Search(
        queries=queries,
        found=found,
        matches=MatchLists(
            scores=found.candidates.scores.astype(np.float64),
            is_match=(items >= 0) & (theirs[items] == ours[:, None]),
            relevant_counts=found.ranks.relevant_counts,
            has_itself=itself >= 0,
        ),
        clusters=tuple(
            f"group {group}" if group else f"product {product_id}"
            for group, product_id in zip(queries.groups, queries.product_ids, strict=True)
        ),
    )
