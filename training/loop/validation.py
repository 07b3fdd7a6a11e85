"""Validation: how well the offers kept from training find their products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import retrieve
from twinshelf.training.retrieval.fusion_weight import pattern_weights
from twinshelf.training.retrieval.metrics import RankingScores, pairs_by_group


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedRows:
    """Embedded rows with their groups.

    Attributes:
        image: Unit or zero rows, float32 (N, D), on the CPU.
        text: The same for the text.
        labels: Group numbers, int64 (N,).
    """

    image: torch.Tensor
    text: torch.Tensor
    labels: torch.Tensor

    @property
    def embeddings(self) -> ProductEmbeddings:
        """The rows as search takes them."""
        return ProductEmbeddings(image=self.image.numpy(), text=self.text.numpy())

    @property
    def groups(self) -> list[str]:
        """The group numbers as search takes them."""
        return [str(label) for label in self.labels.tolist()]


def evaluate_patterns(
    queries: EmbeddedRows, gallery: EmbeddedRows, image_share: float
) -> dict[str, RankingScores]:
    """Evaluates queries by image, by text and by both, with the weights of each.

    Returns:
        The scores by pattern; a pattern is absent when no query of its kind has a right answer in
        the gallery.
    """
    scores = {
        pattern: evaluate_ranking(queries, gallery, weight)
        for pattern, weight in pattern_weights(image_share).items()
    }
    return {pattern: found for pattern, found in scores.items() if found is not None}


def evaluate_ranking(
    queries: EmbeddedRows, gallery: EmbeddedRows, image_weight: float
) -> RankingScores | None:
    """Ranks the gallery for each query that has every modality with a weight.

    Returns:
        None when no such query has a right answer in the gallery.
    """
    needed = np.array([image_weight, 1 - image_weight]) > 0  # (2,)
    rows = np.flatnonzero(queries.embeddings.presence[:, needed].all(axis=1))
    groups = queries.groups
    relevant = pairs_by_group([groups[row] for row in rows.tolist()], gallery.groups)
    if not len(relevant.queries):
        return None
    found = retrieve(
        queries.embeddings.rows(rows),
        gallery.embeddings,
        image_weight=image_weight,
        relevant=relevant,
        k=1,
    )
    return RankingScores.of(found.ranks)


def join_rows(batches: Sequence[EmbeddedRows]) -> EmbeddedRows:
    """Returns the rows of several batches as one."""
    return EmbeddedRows(
        image=torch.cat([batch.image for batch in batches]),
        text=torch.cat([batch.text for batch in batches]),
        labels=torch.cat([batch.labels for batch in batches]),
    )
