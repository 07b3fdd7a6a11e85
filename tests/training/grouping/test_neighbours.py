"""Neighbours within a catalogue: exact against a loop, the index against the exact search."""

from __future__ import annotations

import numpy as np
import pytest

from training.embeddings import ModalityWeights, ProductEmbeddings
from training.grouping.neighbours import nearest_products
from training.grouping.settings import GroupingSettings

WEIGHTS = ModalityWeights(image=0.3, text=0.7)


def draw(count: int, seed: int = 0) -> ProductEmbeddings:
    generator = np.random.default_rng(seed)
    halves = []
    for dim in (12, 16):
        rows = generator.normal(size=(count, dim))
        halves.append((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))
    return ProductEmbeddings(image=halves[0], text=halves[1])


def test_the_exact_search_equals_a_loop_and_leaves_itself_out() -> None:
    products = draw(40)
    found = nearest_products(products, WEIGHTS, GroupingSettings(neighbour_count=5))
    scores = 0.3 * products.image @ products.image.T + 0.7 * products.text @ products.text.T
    np.fill_diagonal(scores, -np.inf)
    expected = np.argsort(-scores, axis=1)[:, :5]
    assert np.array_equal(found.items, expected)
    # Float32 sums in another order.
    assert found.scores == pytest.approx(np.take_along_axis(scores, expected, axis=1), abs=1e-6)


def test_the_index_finds_what_the_exact_search_finds_with_its_scores() -> None:
    products = draw(300)
    exact = nearest_products(products, WEIGHTS, GroupingSettings(neighbour_count=8))
    near = nearest_products(
        products, WEIGHTS, GroupingSettings(neighbour_count=8, most_exact_rows=10)
    )
    common = [
        len(set(ours) & set(theirs)) / 8
        for ours, theirs in zip(exact.items.tolist(), near.items.tolist(), strict=True)
    ]
    assert np.mean(common) > 0.97  # half precision may swap the last ones
    assert not (near.items == np.arange(300)[:, None]).any()
    assert (np.diff(near.scores, axis=1) <= 0).all()
    same = exact.items == near.items
    assert near.scores[same] == pytest.approx(exact.scores[same], abs=1e-6)


@pytest.mark.parametrize("most_exact_rows", [0, 100])
def test_a_catalogue_smaller_than_the_lists_is_searched_whole(most_exact_rows: int) -> None:
    settings = GroupingSettings(neighbour_count=50, most_exact_rows=most_exact_rows)
    found = nearest_products(draw(4), WEIGHTS, settings)
    assert [sorted(row) for row in found.items.tolist()] == [
        [1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]
    ]  # fmt: skip
    assert nearest_products(draw(1), WEIGHTS, settings).items.shape == (1, 0)
