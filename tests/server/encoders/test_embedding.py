"""Arithmetic of embeddings against cosines computed one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.server.fake_encoder import make_contract
from twinshelf.server.encoders.embedding import (
    OfferEmbedding,
    checked_half,
    query_vector,
    score_products,
    stored_vector,
    widen,
)
from twinshelf.server.encoders.modalities import Pattern, Weights

CONTRACT = make_contract(image_dim=24, text_dim=8, embedding_dim=32)
PATTERNS = (Pattern.IMAGE, Pattern.TEXT, Pattern.BOTH)
# A row that is scored against the only offer.
ONLY = np.zeros(1, dtype=np.int64)


def unit(rng: np.random.Generator, dimension: int) -> np.ndarray:
    row = rng.normal(size=dimension).astype(np.float32)
    return row / np.linalg.norm(row)


def random_embedding(rng: np.random.Generator, pattern: Pattern) -> OfferEmbedding:
    return OfferEmbedding(
        image=unit(rng, 24) if pattern.has_image else None,
        text=unit(rng, 8) if pattern.has_text else None,
    )


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("weights", [(1, 0), (0, 1), (0.5, 0.5), (3, 1), (1, 9999)])
def test_inner_product_and_score_are_the_weighted_mean_of_cosines(
    pattern: Pattern, weights: tuple[float, float]
) -> None:
    rng = np.random.default_rng(int(pattern))
    offer = random_embedding(rng, pattern)
    asked = Weights(image=weights[0], text=weights[1])
    try:
        ours = asked.restricted_to(pattern)
    except ValueError:
        assert (pattern.has_image and weights[0]) or (pattern.has_text and weights[1]) == 0
        return
    products = [random_embedding(rng, p) for p in (*PATTERNS, *PATTERNS)]
    stored = np.stack([stored_vector(p, CONTRACT) for p in products])
    products_of_vectors = stored.astype(np.float32) @ query_vector(offer, ours, CONTRACT)
    for i, product in enumerate(products):
        parts = [
            (weight, float(a @ b))
            for weight, a, b in (
                (ours.image, offer.image, product.image),
                (ours.text, offer.text, product.text),
            )
            if a is not None and b is not None and weight > 0
        ]
        # fp16 keeps 11 bits of each component.
        dot = sum(weight * cosine for weight, cosine in parts)
        assert products_of_vectors[i] == pytest.approx(dot, abs=2e-3)
        if not parts:
            continue
        scores = score_products([(offer, ours)], ONLY, stored[i : i + 1], product.pattern, CONTRACT)
        share = sum(weight for weight, _ in parts)
        assert scores.total[0] == pytest.approx(dot / share, abs=2e-3)
        assert (scores.image is None) == (offer.image is None or product.image is None)
        assert (scores.text is None) == (offer.text is None or product.text is None)


def test_vectors_that_share_nothing_with_the_offer_are_refused() -> None:
    rng = np.random.default_rng(0)
    offer, product = random_embedding(rng, Pattern.IMAGE), random_embedding(rng, Pattern.TEXT)
    stored = stored_vector(product, CONTRACT)[np.newaxis]
    with pytest.raises(ValueError, match="image shares nothing with text"):
        score_products([(offer, Weights(image=1, text=0))], ONLY, stored, Pattern.TEXT, CONTRACT)


def test_offers_together_have_the_scores_of_each_alone() -> None:
    rng = np.random.default_rng(0)
    offers = [
        (random_embedding(rng, Pattern.BOTH), Weights(image=w, text=1 - w)) for w in (0.3, 0.7)
    ]
    stored = np.stack(
        [stored_vector(random_embedding(rng, Pattern.BOTH), CONTRACT) for _ in range(5)]
    )
    owners = np.array([1, 0, 0, 1, 1])
    together = score_products(offers, owners, stored, Pattern.BOTH, CONTRACT)
    for row, owner in enumerate(owners):
        alone = score_products(
            offers[owner : owner + 1], ONLY, stored[row : row + 1], Pattern.BOTH, CONTRACT
        )
        assert alone.total[0] == together.total[row]
        assert together.image is not None and together.text is not None
        assert (alone.image, alone.text) == (together.image[row], together.text[row])


def test_every_finite_half_is_widened_to_the_same_number() -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    assert widen(halves).tobytes() == halves.astype(np.float32).tobytes()


def test_a_row_of_another_length_is_refused() -> None:
    row = np.ones(24, dtype=np.float32)
    assert checked_half(row, 24) is row
    with pytest.raises(ValueError, match=r"embedding must be \(25,\), got \(24,\)"):
        checked_half(row, 25)


@pytest.mark.parametrize("row", [np.full(24, np.nan), np.zeros(24), np.ones(24)])
def test_rows_that_are_no_embedding_are_refused(row: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must have length 1"):
        OfferEmbedding(image=row.astype(np.float32), text=None)


def test_weights_are_normalised_over_what_is_there() -> None:
    for image, text in itertools.product([0.0, 1e-30, 1.0, 7.0, 1e300], repeat=2):
        if image == text == 0:
            continue
        ours = Weights(image=image, text=text).restricted_to(Pattern.BOTH)
        assert ours.image + ours.text == pytest.approx(1)
        assert ours.image >= ours.text if image > text else ours.image <= ours.text
    assert Weights(image=3, text=1).restricted_to(Pattern.IMAGE) == Weights(image=1, text=0)
    # A query in float32 would lose it, and products with a photo alone would be found by chance.
    assert Weights(image=1e-46, text=1).restricted_to(Pattern.BOTH) == Weights(image=0, text=1)
    with pytest.raises(ValueError, match="only the text"):
        Weights(image=3, text=0).restricted_to(Pattern.TEXT)


@pytest.mark.parametrize(("image", "text"), [(-1, 1), (float("nan"), 1), (1, float("inf")), (0, 0)])
def test_weights_out_of_range_are_refused(image: float, text: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        Weights(image=image, text=text)
