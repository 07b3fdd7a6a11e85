"""Arithmetic of the two halves: checking, storing, querying and scoring embeddings.

A stored vector is the weighted concatenation [sqrt(w)·image ; sqrt(1-w)·text] of unit halves, a
missing half being zeros. A query with the weights (a, b) is [a/sqrt(w)·image ; b/sqrt(1-w)·text],
so that the inner product of the two is a·cos(image) + b·cos(text).
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.encoders.contract import EncoderContract
from server.encoders.modalities import Pattern, Weights
from server.errors import EncoderFailedError, TwinshelfError

logger = logging.getLogger(__name__)
Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
# A half that came through fp32 fusion is off by 1e-6; anything near this bar is no embedding.
NORM_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferEmbedding:
    """The unit embeddings of one offer or product.

    Attributes:
        image: (I,) unit row of the photo, or None.
        text: (T,) unit row of the text, or None.

    Raises:
        ValueError: If a row is not a finite unit row.
    """

    image: Floats | None
    text: Floats | None

    def __post_init__(self) -> None:
        """Checks the values."""
        for name, row in (("image", self.image), ("text", self.text)):
            if row is not None and not abs(float(np.linalg.norm(row)) - 1) < NORM_TOLERANCE:
                raise ValueError(f"the {name} embedding must have length 1, got {_length(row)}")

    @property
    def pattern(self) -> Pattern:
        """The modalities that are there."""
        return Pattern.of(image=self.image is not None, text=self.text is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How alike N products are to one offer.

    Attributes:
        total: (N,) weighted mean of the cosines of the shared modalities, -1 to 1; NaN where
            nothing is shared.
        image: (N,) cosine of the photos; NaN where one is missing.
        text: (N,) cosine of the texts; NaN where one is missing.
    """

    total: Floats
    image: Floats
    text: Floats


def checked_half(row: Floats, dimension: int) -> Floats:
    """Returns what a tower answered for one row.

    Args:
        row: (D,) unit row.
        dimension: D, by the contract.

    Raises:
        ValueError: If the row has another length.
    """
    if row.shape != (dimension,):
        raise ValueError(f"embedding must be ({dimension},), got {row.shape}")
    return row


def join_halves(
    image: Floats | TwinshelfError | None, text: Floats | TwinshelfError | None
) -> OfferEmbedding | TwinshelfError:
    """Joins what the towers made of one row; an error of the photo comes before one of the text.

    Args:
        image: (I,) row of the photo, why there is none, or None for a row without a photo.
        text: (T,) row of the text, likewise.
    """
    if isinstance(image, TwinshelfError):
        return image
    if isinstance(text, TwinshelfError):
        return text
    try:
        return OfferEmbedding(image=image, text=text)
    except ValueError as error:
        logger.error("a tower answered with no embedding: %s", error)
        return EncoderFailedError("the encoder answered with something that is no embedding")


def stored_vector(embedding: OfferEmbedding, contract: EncoderContract) -> Halves:
    """Returns the (I+T,) fp16 vector that the catalogue keeps of a product."""
    return _concatenate(
        embedding,
        math.sqrt(contract.fusion_weight),
        math.sqrt(1 - contract.fusion_weight),
        contract,
    ).astype(np.float16)


def query_vector(embedding: OfferEmbedding, weights: Weights, contract: EncoderContract) -> Floats:
    """Returns the (I+T,) vector whose inner product with stored ones is the weighted score."""
    return _concatenate(
        embedding,
        weights.image / math.sqrt(contract.fusion_weight),
        weights.text / math.sqrt(1 - contract.fusion_weight),
        contract,
    )


def score_products(
    embedding: OfferEmbedding, weights: Weights, stored: Halves, contract: EncoderContract
) -> Scores:
    """Scores stored vectors against an offer, exactly.

    The score is renormalised over the modalities that both sides have: a product without a photo is
    scored by its text alone, not punished.

    Args:
        embedding: That of the offer.
        weights: How much each modality counts.
        stored: (N, I+T) stored vectors.
        contract: That of the encoder that made both sides.
    """
    rows = stored.astype(np.float32)  # (N, I+T)
    image = _cosines(embedding.image, rows[:, : contract.image_dimension])  # (N,)
    text = _cosines(embedding.text, rows[:, contract.image_dimension :])  # (N,)
    # In float64, where the smallest float32 weight of a request is still more than nothing.
    total, shared = np.zeros(len(rows)), np.zeros(len(rows))
    for cosines, weight in ((image, weights.image), (text, weights.text)):
        if weight > 0:
            there = ~np.isnan(cosines)
            total[there] += weight * cosines[there]
            shared[there] += weight
    total = np.divide(total, shared, out=np.full_like(total, np.nan), where=shared > 0)
    return Scores(total=np.clip(total, -1, 1).astype(np.float32), image=image, text=text)


def _concatenate(
    embedding: OfferEmbedding, image_factor: float, text_factor: float, contract: EncoderContract
) -> Floats:
    vector = np.zeros(contract.dimension, dtype=np.float32)
    if embedding.image is not None:
        vector[: contract.image_dimension] = embedding.image * np.float32(image_factor)
    if embedding.text is not None:
        vector[contract.image_dimension :] = embedding.text * np.float32(text_factor)
    return vector


def _cosines(row: Floats | None, halves: Floats) -> Floats:
    """Cosines (N,) of a unit row (D,) with rows (N, D) of any length; NaN where one is absent."""
    if row is None:
        return np.full(len(halves), np.nan, dtype=np.float32)
    norms = np.linalg.norm(halves, axis=1)
    dots = halves @ row
    cosines = np.divide(dots, norms, out=np.full_like(dots, np.nan), where=norms > 0)
    return np.clip(cosines, -1, 1)


def _length(row: Floats) -> str:
    return f"{float(np.linalg.norm(row)):.4g}"
