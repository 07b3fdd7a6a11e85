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
    """Ranks the gallery by image, by text and by both, for the queries that have what is weighed.

    Returns:
        The scores by pattern; a pattern is absent when no query of its kind has a right answer in
        the gallery.
    """
    asked, searched = queries.embeddings, gallery.embeddings
    scores = {}
    for pattern, weight in pattern_weights(image_share).items():
        needed = np.array([weight, 1 - weight]) > 0  # (2,)
        rows = np.flatnonzero(asked.presence[:, needed].all(axis=1))
        groups = [queries.groups[row] for row in rows.tolist()]
        relevant = pairs_by_group(groups, gallery.groups)
        if len(relevant.queries):
            found = retrieve(
                asked.rows(rows), searched, image_weight=weight, relevant=relevant, k=1
            )
            scores[pattern] = RankingScores.of(found.ranks)
    return scores


def join_rows(batches: Sequence[EmbeddedRows]) -> EmbeddedRows:
    """Returns the rows of several batches as one."""
    return EmbeddedRows(
        image=torch.cat([batch.image for batch in batches]),
        text=torch.cat([batch.text for batch in batches]),
        labels=torch.cat([batch.labels for batch in batches]),
    )
