"""Cosines of the two records of a pair, by modality: of a trained encoder or of given vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twinshelf.training.catalogues.product import PrecomputedProduct, Product, Vectors
from twinshelf.training.checkpoint import TrainedEncoder
from twinshelf.training.evaluation.embedded_products import embed_contents
from twinshelf.training.pairs.features import Cosines
from twinshelf.training.retrieval.embeddings import ProductEmbeddings


def pair_cosines(
    encoder: TrainedEncoder, pairs: Sequence[tuple[Product, Product]]
) -> list[Cosines]:
    """Embeds the records of all pairs, each once, and compares them.

    Both records are embedded as catalogue products, so that their order does not matter.

    Args:
        encoder: The trained encoder.
        pairs: Records to compare; without photos only the cosine of their texts is known.

    Returns:
        One `Cosines` a pair. Fused is the encoder's own weighting of the modalities that both
        records have; NaN where they share none.
    """
    records = [record for pair in pairs for record in pair]
    found = embed_contents(encoder, records, are_passages=True)
    left, right = np.arange(len(records)).reshape(-1, 2).T
    fusion_weight = encoder.model.fusion.plain_weight()
    return compare_sides(found.rows(left), found.rows(right), fusion_weight)


def compare_sides(
    left: ProductEmbeddings, right: ProductEmbeddings, fusion_weight: float
) -> list[Cosines]:
    """Returns the cosines of the rows of two sides (N).

    The image weighs `fusion_weight`, 0 to 1, in the fused one where both modalities are shared.
    """
    both = left.presence & right.presence  # (N, 2)
    by_modality = np.stack(
        [(left.image * right.image).sum(axis=1), (left.text * right.text).sum(axis=1)], axis=1
    )  # (N, 2)
    weights = both * np.array([fusion_weight, 1 - fusion_weight])  # (N, 2)
    total = weights.sum(axis=1)
    with np.errstate(invalid="ignore"):
        fused = np.where(total > 0, (weights * by_modality).sum(axis=1) / total, np.nan)
    known = np.clip(np.where(both, by_modality, np.nan), -1, 1)
    return [
        Cosines(image=float(image), text=float(text), fused=float(cosine))
        for (image, text), cosine in zip(known, np.clip(fused, -1, 1), strict=True)
    ]


def compare_vectors(left: PrecomputedProduct, right: PrecomputedProduct) -> Cosines:
    """Returns the cosines of two products that are known by precomputed vectors.

    Text is the cosine of the names' embeddings. Image is the best cosine of any picture of one
    side with any of the other, since sellers order the same photos differently. Main image is that
    of the main pictures alone, since a size chart among the further ones of two products makes the
    best one high; with one picture a side both are the same. A vector of zeros says nothing. Fused
    stays unknown: it would need an encoder's weighting.
    """
    return Cosines(
        image=_best_cosine(left.pictures, right.pictures),
        text=_best_cosine(left.name_vector[None], right.name_vector[None]),
        main_image=_best_cosine(left.main_pictures, right.main_pictures),
    )


def _best_cosine(left: Vectors, right: Vectors) -> float:
    """Returns the highest cosine of rows (N, D) with rows (M, D); NaN without two to compare."""
    sides = []
    for rows in (left, right):
        exact = rows.astype(np.float64)
        lengths = np.linalg.norm(exact, axis=1)
        sides.append(exact[lengths > 0] / lengths[lengths > 0, None])
    if not (len(sides[0]) and len(sides[1])):
        return float("nan")
    return float(np.clip((sides[0] @ sides[1].T).max(), -1, 1))
