"""Exact search against a loop over all pairs, and in blocks against whole."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.training.retrieval.test_embeddings import unit_rows
from twinshelf.training.retrieval import exact_search
from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import (
    NO_CANDIDATE,
    UNRANKED,
    Retrieval,
    rank_items,
    retrieve,
)
from twinshelf.training.retrieval.metrics import accuracy_at, average_precision, pairs_by_group

QUERY_COUNT, GALLERY_COUNT = 23, 41
ONE_ROW_BYTES = 4 * GALLERY_COUNT
WEIGHTS = [1, 0, 0.3]


def with_gaps(count: int, seed: int) -> ProductEmbeddings:
    """Random embeddings, some of which lack one modality or both."""
    image, text = unit_rows(count, seed=seed), unit_rows(count, dim=6, seed=seed + 1)
    image[::5] = 0
    text[::7] = 0
    return ProductEmbeddings(image=image, text=text)


def groups(count: int, seed: int) -> list[str]:
    return [str(number) for number in np.random.default_rng(seed).integers(0, 12, count)]


def slow_score(
    queries: ProductEmbeddings,
    gallery: ProductEmbeddings,
    query: int,
    item: int,
    image_weight: float,
) -> float:
    total, shared = 0.0, 0.0
    for name, weight in (("image", image_weight), ("text", 1 - image_weight)):
        ours, theirs = getattr(queries, name)[query], getattr(gallery, name)[item]
        if ours.any() and theirs.any():
            total += weight * float(ours @ theirs)
            shared += weight
    return total / shared if shared else -math.inf


def search(image_weight: float, k: int, block_bytes: int, **options: Any) -> Retrieval:
    relevant = pairs_by_group(
        groups(QUERY_COUNT, 1), groups(GALLERY_COUNT, 2), options.get("excluded")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_search, "SCORE_BLOCK_BYTES", block_bytes)
        return retrieve(
            with_gaps(QUERY_COUNT, 10),
            with_gaps(GALLERY_COUNT, 20),
            image_weight=image_weight,
            relevant=relevant,
            k=k,
            **options,
        )


@pytest.mark.parametrize("image_weight", WEIGHTS)
def test_search_equals_a_loop_over_all_pairs(image_weight: float) -> None:
    queries, gallery = with_gaps(QUERY_COUNT, 10), with_gaps(GALLERY_COUNT, 20)
    found = search(image_weight, 6, 5 * ONE_ROW_BYTES)
    expected_ranks = []
    for query, group in enumerate(groups(QUERY_COUNT, 1)):
        scores = [
            slow_score(queries, gallery, query, item, image_weight) for item in range(GALLERY_COUNT)
        ]
        order = sorted(range(GALLERY_COUNT), key=lambda item: (-scores[item], item))
        items = [item if scores[item] > -math.inf else NO_CANDIDATE for item in order[:6]]
        assert found.candidates.items[query].tolist() == items
        np.testing.assert_allclose(
            found.candidates.scores[query], [scores[item] for item in order[:6]], atol=1e-6
        )
        labels = groups(GALLERY_COUNT, 2)
        expected_ranks += [
            (query, rank if scores[item] > -math.inf else UNRANKED + item)
            for rank, item in enumerate(order, 1)
            if labels[item] == group
        ]
    ranks = zip(found.ranks.queries.tolist(), found.ranks.ranks.tolist(), strict=True)
    assert list(ranks) == expected_ranks


@pytest.mark.parametrize("rows", [1, 4, QUERY_COUNT])
@pytest.mark.parametrize("image_weight", WEIGHTS)
def test_search_in_blocks_equals_the_whole(image_weight: float, rows: int) -> None:
    blocks, whole = search(image_weight, 9, rows * ONE_ROW_BYTES), search(image_weight, 9, 2**30)
    np.testing.assert_array_equal(blocks.candidates.items, whole.candidates.items)
    np.testing.assert_allclose(blocks.candidates.scores, whole.candidates.scores, atol=1e-6)
    np.testing.assert_array_equal(blocks.ranks.ranks, whole.ranks.ranks)


def test_equal_scores_are_ordered_by_row() -> None:
    row = unit_rows(1)
    gallery = ProductEmbeddings(image=np.repeat(row, 50, 0), text=np.repeat(row, 50, 0))
    queries = ProductEmbeddings(image=row, text=row)
    found = retrieve(
        queries,
        gallery,
        image_weight=1,
        relevant=pairs_by_group(["a"], ["b"] * 30 + ["a"] * 20),
        k=7,
    )
    assert found.candidates.items[0].tolist() == list(range(7))
    assert found.ranks.ranks.tolist() == list(range(31, 51))


def test_a_query_is_left_out_of_its_own_search() -> None:
    excluded = np.arange(QUERY_COUNT)
    found = search(0.3, GALLERY_COUNT, 2**30, excluded=excluded)
    assert not (found.candidates.items == excluded[:, None]).any()


def test_more_candidates_than_products_are_padded() -> None:
    found = search(1, GALLERY_COUNT + 3, 2**30)
    assert (found.candidates.items[:, -3:] == NO_CANDIDATE).all()
    assert np.isneginf(found.candidates.scores[:, -3:]).all()


def test_no_queries_give_no_candidates() -> None:
    none = with_gaps(3, 1).rows(np.zeros(3, dtype=bool))
    relevant = pairs_by_group([], ["a"] * 3)
    found = retrieve(none, with_gaps(3, 1), image_weight=1, relevant=relevant, k=2)
    assert found.candidates.items.shape == (0, 2)
    assert found.ranks.query_count == 0


@pytest.mark.parametrize("level_count", [5, 10_000])
@pytest.mark.parametrize("step", [1, 4])
def test_ranks_equal_a_sort(level_count: int, step: int) -> None:
    scores = np.random.default_rng(4).integers(0, level_count, (6, 60)).astype(np.float32)
    scores[:, ::7] = -math.inf
    asked = np.arange(0, 60, step)  # more of a query than are counted one by one, or fewer
    rows, items = np.repeat(np.arange(6), len(asked)), np.tile(asked, 6)
    expected = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1) + 1
    expected[np.isneginf(scores)] = UNRANKED
    expected[:, ::7] += np.arange(0, 60, 7)
    found = rank_items(scores, rows, items).reshape(6, -1)
    np.testing.assert_array_equal(found, expected[:, asked])


def test_many_items_of_a_query_are_ranked_without_a_look_at_all_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = np.random.default_rng(5).permutation(400).astype(np.float32)[None]
    monkeypatch.setattr(np, "count_nonzero", None)
    ranks = rank_items(scores, np.zeros(400, dtype=np.int64), np.arange(400))
    assert ranks.tolist() == (400 - scores[0]).tolist()


def test_an_empty_gallery_is_refused() -> None:
    gallery = ProductEmbeddings(image=unit_rows(5)[:0], text=unit_rows(5)[:0])
    queries = ProductEmbeddings(image=unit_rows(2), text=unit_rows(2))
    with pytest.raises(ValueError, match="gallery is empty"):
        retrieve(queries, gallery, image_weight=1, relevant=pairs_by_group(["a"] * 2, []), k=1)


@pytest.mark.parametrize("image_weight", [-0.1, 1.1, math.nan])
def test_a_weight_out_of_range_is_refused(image_weight: float) -> None:
    with pytest.raises(ValueError, match="image_weight must be 0 to 1"):
        search(image_weight, 1, 2**30)


def test_what_is_no_candidate_has_no_rank() -> None:
    image = unit_rows(4, 3, seed=1)
    gallery = ProductEmbeddings(image=image, text=np.zeros_like(image))
    query = ProductEmbeddings(image=np.zeros((1, 3), np.float32), text=unit_rows(1, 3, seed=2))
    relevant = pairs_by_group(["a"], ["a", "b", "b", "b"])
    found = retrieve(query, gallery, image_weight=0.0, k=2, relevant=relevant)
    assert found.candidates.items.tolist() == [[NO_CANDIDATE, NO_CANDIDATE]]
    assert accuracy_at(found.ranks, 4).tolist() == [0]
    assert average_precision(found.ranks)[0] == pytest.approx(0)
