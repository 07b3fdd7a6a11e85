"""Embeddings: what is accepted as unit rows, and how halves are joined."""

from __future__ import annotations

import numpy as np
import pytest

from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import retrieve


def unit_rows(count: int, dim: int = 4, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_rows_of_zeros_are_missing_modalities() -> None:
    text = unit_rows(3)
    text[1] = 0
    embeddings = ProductEmbeddings(image=unit_rows(3), text=text)
    assert embeddings.presence.tolist() == [[True, True], [True, False], [True, True]]
    assert len(embeddings.rows(np.array([True, False, True]))) == 2


def test_nan_is_refused_with_its_row() -> None:
    image = unit_rows(3)
    image[2, 1] = np.nan
    with pytest.raises(ValueError, match="image embeddings .* row 2 has NaN"):
        ProductEmbeddings(image=image, text=unit_rows(3))


def test_a_row_that_is_not_unit_is_refused_with_its_length() -> None:
    text = unit_rows(3)
    text[0] *= 2
    with pytest.raises(ValueError, match=r"text embeddings .* row 0 has length 2 \(1 such rows\)"):
        ProductEmbeddings(image=unit_rows(3), text=text)


def test_different_counts_and_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"image \(3, 4\) and text \(2, 4\)"):
        ProductEmbeddings(image=unit_rows(3), text=unit_rows(2))
    longer = ProductEmbeddings(image=unit_rows(2), text=unit_rows(2, dim=5))
    shorter = ProductEmbeddings(image=unit_rows(2), text=unit_rows(2))
    with pytest.raises(ValueError, match="text embeddings .* got 5 and 4"):
        retrieve(longer, shorter, image_weight=0.5, k=1)


def test_the_inner_product_of_fused_rows_is_the_weighted_mean_of_the_cosines() -> None:
    queries, gallery = (
        ProductEmbeddings(image=unit_rows(5, seed=seed), text=unit_rows(5, dim=3, seed=seed))
        for seed in (1, 2)
    )
    found = queries.fused(0.2) @ gallery.fused(0.2).T
    cosines = 0.2 * queries.image @ gallery.image.T + 0.8 * queries.text @ gallery.text.T
    np.testing.assert_allclose(found, cosines, atol=1e-6)


def test_a_half_without_a_weight_is_left_out() -> None:
    rows = ProductEmbeddings(image=unit_rows(2), text=unit_rows(2, dim=3))
    np.testing.assert_array_equal(rows.fused(0), rows.text)
