"""Arithmetic of the two halves: checking, storing, querying and scoring embeddings.

A stored vector is [image ; text], two unit halves, a missing one being zeros. A query with the
weights (a, b) is [a·image ; b·text], so that the inner product of the two is
a·cos(image) + b·cos(text): the weights are carried once, and new ones need no new embeddings.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.modalities import Pattern, Weights
from twinshelf.server.errors import EncoderFailedError, InvalidRequestError, TwinshelfError

logger = logging.getLogger(__name__)
Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
# The towers answer in fp32, off by 1e-6; anything near this bar is no embedding.
NORM_TOLERANCE = 1e-2
DIGITS = 6
# Of a half of 16 bits that was shifted by 13 in 32, where the sign was copied into three more.
_WITHOUT_SIGN_COPIES = np.int32(-0x70002000)
_BETWEEN_BIASES = np.float32(2.0 ** (127 - 15))


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
    """How alike N products are to offers of the same modalities, each to one of them.

    Attributes:
        total: (N,) weighted mean of the cosines of the shared modalities, -1 to 1.
        image: (N,) cosine of the photos; None where one side has none.
        text: (N,) cosine of the texts; None where one side has none.
    """

    total: Floats
    image: Floats | None
    text: Floats | None


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

    A text that the encoder refuses, because it knows none of its words, is no text beside a photo.

    Args:
        image: (I,) row of the photo, why there is none, or None for a row without a photo.
        text: (T,) row of the text, likewise.
    """
    if isinstance(image, TwinshelfError):
        return image
    if isinstance(text, InvalidRequestError) and image is not None:
        text = None
    if isinstance(text, TwinshelfError):
        return text
    try:
        return OfferEmbedding(image=image, text=text)
    except ValueError as error:
        logger.error("a tower answered with no embedding: %s", error)
        return EncoderFailedError("the encoder answered with something that is no embedding")


def stored_vector(embedding: OfferEmbedding, contract: EncoderContract) -> Halves:
    """Returns the (I+T,) fp16 vector that the catalogue keeps of a product."""
    return _concatenate(embedding, 1.0, 1.0, contract).astype(np.float16)


def stored_embedding(vector: Halves, pattern: Pattern, contract: EncoderContract) -> OfferEmbedding:
    """Returns the halves of a (I+T,) stored vector of a pattern, as far as fp16 kept them."""
    image, text = np.split(vector.astype(np.float32), [contract.image_dimension])
    return OfferEmbedding(
        image=image if pattern.has_image else None, text=text if pattern.has_text else None
    )


def query_vector(embedding: OfferEmbedding, weights: Weights, contract: EncoderContract) -> Floats:
    """Returns the (I+T,) vector whose inner product with stored ones is the weighted score."""
    return _concatenate(embedding, weights.image, weights.text, contract)


def score_products(
    offers: Sequence[tuple[OfferEmbedding, Weights]],
    offer_numbers: npt.NDArray[np.int64],
    stored: Halves,
    pattern: Pattern,
    contract: EncoderContract,
) -> Scores:
    """Scores stored vectors of one pattern exactly, each against one of some offers.

    The score is renormalised over the modalities that both sides have: a product without a photo is
    scored by its text alone, not punished.

    Args:
        offers: M offers of the same modalities, and how much each modality counts; one that both
            sides have must count.
        offer_numbers: (N,) the offer that each vector is scored against, 0 to M - 1.
        stored: (N, I+T) stored vectors.
        pattern: Modalities that all of them have.
        contract: That of the encoder that made both sides.

    Raises:
        ValueError: If the offers share nothing with the vectors.
    """
    rows = widen(stored)  # (N, I+T)
    split = contract.image_dimension
    shared = Pattern(pattern & offers[0][0].pattern)
    image: Floats | None = None
    text: Floats | None = None
    if shared.has_image:
        image = _cosines(rows[:, :split], [each.image for each, _ in offers], offer_numbers)
    if shared.has_text:
        text = _cosines(rows[:, split:], [each.text for each, _ in offers], offer_numbers)
    if image is None or text is None:
        total = text if image is None else image
    else:
        shares = [weights.restricted_to(pattern).image for _, weights in offers]
        share = np.array(shares, dtype=np.float32)[offer_numbers]
        total = share * image + (1 - share) * text
    if total is None:
        raise ValueError(
            f"an offer of {offers[0][0].pattern.key} shares nothing with {pattern.key}"
        )
    # Without the digits that are chance, so that equal products have equal scores.
    return Scores(total=total.round(DIGITS), image=image, text=text)


def widen(stored: Halves) -> Floats:
    """Returns finite fp16 numbers as float32, the same.

    numpy does it one by one and takes six times as long. The bits of both formats (IEEE 754-2019,
    3.4) are sign, exponent and fraction; shifted by the 13 bits that a fraction lacks, a number
    differs by the biases of the exponents alone, 127 and 15. Subnormal ones stay right.
    """
    bits = stored.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _WITHOUT_SIGN_COPIES
    floats = bits.view(np.float32)
    floats *= _BETWEEN_BIASES
    return floats


def _cosines(
    rows: Floats, halves: Sequence[Floats | None], offer_numbers: npt.NDArray[np.int64]
) -> Floats:
    """Returns the inner product (N,) of each row (N, D) with the half (D,) of its offer."""
    asked = np.stack([half for half in halves if half is not None])[offer_numbers]
    products: Floats = np.einsum("nd,nd->n", rows, asked)
    return products


def _concatenate(
    embedding: OfferEmbedding, image_factor: float, text_factor: float, contract: EncoderContract
) -> Floats:
    vector = np.zeros(contract.dimension, dtype=np.float32)
    if embedding.image is not None:
        vector[: contract.image_dimension] = embedding.image * np.float32(image_factor)
    if embedding.text is not None:
        vector[contract.image_dimension :] = embedding.text * np.float32(text_factor)
    return vector


def _length(row: Floats) -> str:
    return f"{float(np.linalg.norm(row)):.4g}"
