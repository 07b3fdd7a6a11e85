"""Cosines of two records are those that the scorer was trained on."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.pair_cosines import compare_embeddings
from twinshelf.training.pairs.cosines import compare_sides
from twinshelf.training.retrieval.embeddings import ProductEmbeddings


def draw_sides(generator: np.random.Generator) -> ProductEmbeddings:
    """Returns sixteen rows of unit halves; each pair of presences is met in some of them."""
    image, text = (generator.normal(size=(16, width)).astype(np.float32) for width in (6, 9))
    has_image, has_text = generator.permutation(16) % 4 > 0, generator.permutation(16) % 4 > 0
    return ProductEmbeddings(
        image=has_image[:, None] * image / np.linalg.norm(image, axis=1, keepdims=True),
        text=has_text[:, None] * text / np.linalg.norm(text, axis=1, keepdims=True),
    )


def side(sides: ProductEmbeddings, row: int) -> OfferEmbedding:
    has_image, has_text = sides.presence[row]
    return OfferEmbedding(
        image=sides.image[row] if has_image else None, text=sides.text[row] if has_text else None
    )


def test_cosines_are_those_of_training_whatever_is_missing() -> None:
    generator = np.random.default_rng(1)
    left, right = draw_sides(generator), draw_sides(generator)
    expected = compare_sides(left, right, 0.3)
    found = [
        compare_embeddings(side(left, row), side(right, row), fusion_weight=0.3)
        for row in range(16)
    ]
    np.testing.assert_allclose(
        [astuple(each) for each in found], [astuple(each)[:3] for each in expected], atol=1e-6
    )
    assert {np.isnan(astuple(each)).sum() for each in found} == {0, 1, 3}


def test_rounding_carries_no_cosine_out_of_range() -> None:
    row = np.full(3, 0.5775, np.float32)
    same = OfferEmbedding(image=row, text=None)
    assert compare_embeddings(same, same, fusion_weight=0.5).image == 1.0
    assert compare_embeddings(same, same, fusion_weight=0.5).fused == pytest.approx(1.0)
