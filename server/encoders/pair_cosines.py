"""Cosines of the embeddings of two records, as the pair scorer was trained on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from twinshelf.server.encoders.embedding import Floats, OfferEmbedding


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosines:
    """Cosines of two records' embeddings, -1 to 1; NaN where a side lacks the modality.

    Attributes:
        image: Of the photos.
        text: Of the texts, both embedded as products are.
        fused: Mean of both by the encoder's weights, over the modalities that both sides have.
    """

    image: float = math.nan
    text: float = math.nan
    fused: float = math.nan


NO_COSINES = Cosines()


def compare_embeddings(
    left: OfferEmbedding, right: OfferEmbedding, *, fusion_weight: float
) -> Cosines:
    """Returns the cosines of two records.

    Args:
        left: Of one side.
        right: Of the other.
        fusion_weight: w, the weight of the photo where both sides have both, above 0 and below 1.
    """
    image = _cosine(left.image, right.image)
    text = _cosine(left.text, right.text)
    if math.isnan(image) or math.isnan(text):
        fused = text if math.isnan(image) else image
    else:
        fused = fusion_weight * image + (1 - fusion_weight) * text
    return Cosines(image=_bounded(image), text=_bounded(text), fused=_bounded(fused))


def _cosine(left: Floats | None, right: Floats | None) -> float:
    return math.nan if left is None or right is None else float(np.dot(left, right))


def _bounded(cosine: float) -> float:
    return float(np.clip(cosine, -1.0, 1.0))  # NaN stays
