"""The searches of the ablation."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.ablation.ablation_run import indexed_ranks
from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import retrieve
from twinshelf.training.retrieval.metrics import accuracy_at, average_precision, pairs_by_group


def draw(generator: np.random.Generator, count: int, *, gaps: bool) -> ProductEmbeddings:
    halves = []
    for number, length in enumerate((6, 4)):
        rows = generator.normal(size=(count, length)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        if gaps:
            rows[number::5] = 0
        halves.append(rows)
    return ProductEmbeddings(image=halves[0], text=halves[1])


@pytest.mark.parametrize("image_weight", [1, 0, 0.3])
@pytest.mark.parametrize("gaps", [False, True])
def test_an_index_with_candidates_for_all_ranks_as_exact_search_does(
    image_weight: float, gaps: bool
) -> None:
    generator = np.random.default_rng(5)
    queries, gallery = draw(generator, 30, gaps=False), draw(generator, 60, gaps=gaps)
    groups = [f"g{number % 12}" for number in range(60)]
    asked = groups[:30]
    itself = np.where(np.arange(30) % 2 == 0, np.arange(30), -1)
    relevant = pairs_by_group(asked, groups, excluded=itself)
    exact = retrieve(
        queries, gallery, image_weight=image_weight, relevant=relevant, k=1, excluded=itself
    ).ranks
    found = indexed_ranks(
        queries, gallery, image_weight=image_weight, relevant=relevant, excluded=itself
    )
    assert (found.relevant_counts == exact.relevant_counts).all()
    for k in (1, 5):
        assert (accuracy_at(found, k) == accuracy_at(exact, k)).all()
    if not gaps:
        np.testing.assert_array_equal(found.ranks, exact.ranks)


def test_a_relevant_product_that_is_no_candidate_adds_nothing() -> None:
    generator = np.random.default_rng(6)
    gallery = draw(generator, 3, gaps=False)
    blank = gallery.image.copy()
    blank[2] = 0
    gallery = ProductEmbeddings(image=blank, text=gallery.text)
    relevant = pairs_by_group(["a"], ["a", "b", "a"])
    found = indexed_ranks(
        gallery.rows(np.array([0])),
        gallery,
        image_weight=1,
        relevant=relevant,
        excluded=np.array([-1]),
    )
    assert found.relevant_counts.tolist() == [2]
    assert average_precision(found)[0] == pytest.approx(0.5, abs=1e-6)


def test_a_query_never_finds_itself() -> None:
    gallery = draw(np.random.default_rng(7), 4, gaps=False)
    relevant = pairs_by_group(["a"], ["a", "a", "b", "b"], excluded=np.array([0]))
    found = indexed_ranks(
        gallery.rows(np.array([0])),
        gallery,
        image_weight=0.5,
        relevant=relevant,
        excluded=np.array([0]),
    )
    assert found.ranks.max() <= 3
