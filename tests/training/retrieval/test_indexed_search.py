"""Search by an index: what it finds, scored as exact search does."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.retrieval.test_embeddings import unit_rows
from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import NO_CANDIDATE, retrieve
from twinshelf.training.retrieval.indexed_search import search_index

WEIGHT = 0.3


def draw(count: int, seed: int) -> ProductEmbeddings:
    return ProductEmbeddings(
        image=unit_rows(count, dim=6, seed=seed), text=unit_rows(count, dim=5, seed=seed + 100)
    )


@pytest.mark.parametrize("query_count", [1, 2, 700])
def test_candidates_equal_those_of_exact_search(query_count: int) -> None:
    gallery = draw(90, 1)
    queries = gallery.rows(np.arange(query_count) % 90)
    itself = np.arange(query_count) % 90
    itself[::3] = -1
    found = search_index(
        queries, gallery, image_weight=WEIGHT, k=60, excluded=itself, expansion=128
    )
    exact = retrieve(queries, gallery, image_weight=WEIGHT, k=60, excluded=itself).candidates
    # In half precision the index may miss who comes last.
    np.testing.assert_array_equal(found.items[:, :50], exact.items[:, :50])
    np.testing.assert_allclose(found.scores[:, :50], exact.scores[:, :50], atol=1e-6)


def test_where_candidates_are_too_few_rows_are_padded() -> None:
    gallery = draw(3, 2)
    blank = ProductEmbeddings(
        image=gallery.image * np.array([[1], [0], [1]], np.float32), text=gallery.text * 0
    )
    found = search_index(
        gallery.rows(np.array([0, 1])),
        blank,
        image_weight=1,
        k=5,
        excluded=np.array([0, -1]),
        expansion=64,
    )
    assert found.items[0].tolist() == [2, *[NO_CANDIDATE] * 4]
    assert sorted(found.items[1].tolist()) == [*[NO_CANDIDATE] * 3, 0, 2]
    assert np.isneginf(found.scores[found.items == NO_CANDIDATE]).all()
