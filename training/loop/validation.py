"""Validation: how well the offers kept from training find their products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import retrieve
from twinshelf.training.retrieval.fusion_weight import fit_fusion_weight, pattern_weights
from twinshelf.training.retrieval.metrics import RankingScores, pairs_by_group


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedRows:
    """Embedded rows with their groups.

    Attributes:
        embeddings: Unit or zero rows (N).
        groups: Group numbers, as text (N).
    """

    embeddings: ProductEmbeddings
    groups: tuple[str, ...]


def evaluate_patterns(
    queries: EmbeddedRows, gallery: EmbeddedRows
) -> tuple[float, dict[str, RankingScores]]:
    """Ranks the gallery by image, by text and by both, for the queries that have what is weighed.

    Returns:
        The fusion weight that fits them best, which "both" is ranked with, and the scores by
        pattern; a pattern is absent when no query of its kind has a right answer in the gallery.
    """
    asked, searched = queries.embeddings, gallery.embeddings
    fusion_weight = fit_fusion_weight(asked, searched, queries.groups, gallery.groups).weight
    scores = {}
    for pattern, weight in pattern_weights(fusion_weight).items():
        needed = np.array([weight, 1 - weight]) > 0  # (2,)
        rows = np.flatnonzero(asked.presence[:, needed].all(axis=1))
        groups = [queries.groups[row] for row in rows.tolist()]
        relevant = pairs_by_group(groups, gallery.groups)
        if len(relevant.queries):
            found = retrieve(
                asked.rows(rows), searched, image_weight=weight, relevant=relevant, k=1
            )
            scores[pattern] = RankingScores.of(found.ranks)
    return fusion_weight, scores


def join_rows(batches: Sequence[EmbeddedRows]) -> EmbeddedRows:
    """Returns the rows of several batches as one."""
    return EmbeddedRows(
        embeddings=ProductEmbeddings(
            image=np.concatenate([batch.embeddings.image for batch in batches]),
            text=np.concatenate([batch.embeddings.text for batch in batches]),
        ),
        groups=tuple(group for batch in batches for group in batch.groups),
    )
