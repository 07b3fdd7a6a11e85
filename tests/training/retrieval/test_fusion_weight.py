"""The fusion weight against a loop over the grid, and its promises."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.retrieval.test_embeddings import unit_rows
from twinshelf.training.retrieval import fusion_weight
from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import retrieve
from twinshelf.training.retrieval.fusion_weight import fit_fusion_weight
from twinshelf.training.retrieval.metrics import (
    accuracy_at,
    average_precision,
    mean,
    pairs_by_group,
)

GALLERY_COUNT, DIM = 40, 8


def noisy(rows: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """Unit rows near others; infinite noise leaves nothing of them."""
    drawn = np.random.default_rng(seed).normal(size=rows.shape)
    moved = drawn if np.isinf(noise) else rows + noise * drawn
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def data(
    image_noise: float, text_noise: float, query_count: int = 90
) -> tuple[ProductEmbeddings, ProductEmbeddings, list[str], list[str]]:
    gallery = ProductEmbeddings(
        image=unit_rows(GALLERY_COUNT, DIM, 1), text=unit_rows(GALLERY_COUNT, DIM, 2)
    )
    rows = np.arange(query_count) % GALLERY_COUNT
    queries = ProductEmbeddings(
        image=noisy(gallery.image[rows], image_noise, 3),
        text=noisy(gallery.text[rows], text_noise, 4),
    )
    names = [f"g{number}" for number in range(GALLERY_COUNT)]
    return queries, gallery, [names[row] for row in rows], names


def slow_scores(
    queries: ProductEmbeddings,
    gallery: ProductEmbeddings,
    query_groups: list[str],
    gallery_groups: list[str],
    weight: float,
) -> tuple[float, float]:
    found = retrieve(
        queries,
        gallery,
        image_weight=weight,
        relevant=pairs_by_group(query_groups, gallery_groups),
        k=1,
    )
    return mean(accuracy_at(found.ranks, 1)), mean(average_precision(found.ranks))


@pytest.mark.slow
def test_every_weight_is_scored_as_a_search_with_it_scores() -> None:
    case = data(0.4, 0.4)
    fit = fit_fusion_weight(*case)
    weights = [*fit.scores][1:-1]
    assert weights[:6] == [0.0001, 0.001, 0.005, 0.01, 0.02, 0.04]
    assert weights == pytest.approx([1 - weight for weight in reversed(weights)])
    assert [*fit.scores] == [0.0, *weights, 1.0]
    for weight, score in fit.scores.items():
        recall, precision = slow_scores(*case, weight)
        assert score.recall_at_1 == pytest.approx(recall, abs=1e-9)
        assert score.mean_average_precision == pytest.approx(precision, abs=1e-9)


def test_the_weight_has_the_best_recall_then_map_then_is_nearest_to_even() -> None:
    fit = fit_fusion_weight(*data(0.45, 0.35))
    grid = {weight: fit.scores[weight] for weight in [*fit.scores][1:-1]}
    best = max(score.recall_at_1 for score in grid.values())
    equals = {w: s for w, s in grid.items() if s.recall_at_1 == pytest.approx(best, abs=1e-9)}
    precise = max(score.mean_average_precision for score in equals.values())
    finalists = [w for w, s in equals.items() if s.mean_average_precision >= precise - 1e-9]
    assert fit.weight == min(finalists, key=lambda weight: abs(weight - 0.5))


@pytest.mark.parametrize(("image_noise", "text_noise"), [(0.5, 0.3), (0.3, 0.5), (0.4, np.inf)])
def test_both_are_never_worse_than_the_better_one(image_noise: float, text_noise: float) -> None:
    fit = fit_fusion_weight(*data(image_noise, text_noise))
    alone = max(fit.scores[1.0].recall_at_1, fit.scores[0.0].recall_at_1)
    assert fit.scores[fit.weight].recall_at_1 >= alone
    assert 0.0001 <= fit.weight <= 0.9999


@pytest.mark.slow
def test_a_modality_of_noise_gets_little_weight() -> None:
    assert fit_fusion_weight(*data(0.3, np.inf)).weight > 0.6
    assert fit_fusion_weight(*data(np.inf, 0.3)).weight < 0.4


@pytest.mark.slow
def test_a_modality_that_only_harms_counts_as_little_as_possible() -> None:
    """The text alone is always right; more than a little of the image makes mistakes."""
    fit = fit_fusion_weight(*data(np.inf, 0.0, query_count=100))
    assert fit.scores[0.0].recall_at_1 == 1.0
    assert min(score.recall_at_1 for score in fit.scores.values()) < 1.0
    assert fit.weight == 0.0001
    assert fit_fusion_weight(*data(0.0, np.inf, query_count=100)).weight == 0.9999


def test_few_queries_do_not_show_that_a_modality_only_harms() -> None:
    few = fit_fusion_weight(*data(np.inf, 0.0, query_count=99))
    right = [w for w, score in few.scores.items() if score.recall_at_1 == 1.0]
    assert few.weight == min(right, key=lambda weight: abs(weight - 0.5)) > 0.0001


def test_a_perfect_tie_takes_the_even_weight() -> None:
    assert fit_fusion_weight(*data(0.0, 0.0)).weight == 0.5


def test_a_gallery_that_lacks_texts_is_searched_by_image() -> None:
    queries, gallery, query_groups, gallery_groups = data(0.3, 0.3)
    gallery = ProductEmbeddings(image=gallery.image, text=np.zeros_like(gallery.text))
    fit = fit_fusion_weight(queries, gallery, query_groups, gallery_groups)
    assert fit.scores[fit.weight].recall_at_1 == fit.scores[1.0].recall_at_1


def test_without_anything_to_fit_on_the_weight_is_even() -> None:
    queries, gallery, query_groups, gallery_groups = data(0.3, 0.3)
    queries = ProductEmbeddings(image=queries.image, text=np.zeros_like(queries.text))
    fit = fit_fusion_weight(queries, gallery, query_groups, gallery_groups)
    assert (fit.weight, fit.query_count) == (0.5, 0)
    none = fit_fusion_weight(queries.rows(np.zeros(0, np.int64)), gallery, [], gallery_groups)
    assert none.weight == 0.5


def test_many_queries_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion_weight, "MOST_QUERIES", 7)
    assert fit_fusion_weight(*data(0.3, 0.3)).query_count == 7
