"""Tuning and evaluation: on different queries, by each pattern, with abstention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.training.evaluation.drawn_products import DIM, draw_products, near, without
from twinshelf.training.categories.category_config import CategoryConfig, MlpConfig
from twinshelf.training.categories.category_evaluator import (
    evaluate_pattern,
    split_queries,
)
from twinshelf.training.categories.category_labels import Labels
from twinshelf.training.categories.category_results import Choice
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.retrieval.embeddings import ProductEmbeddings

SETTINGS = CategoryConfig(most_neighbours=5, mlp=MlpConfig(hidden_width=16, epoch_count=20))
LABELS = Labels(names=("c0", "c1", "c2"))
HOW: dict[str, Any] = {"labels": LABELS, "config": SETTINGS, "fusion_weight": 0.4}


def draw(name: str, count: int, seed: int) -> EmbeddedProducts:
    """Returns products near the centre of their category, in both modalities."""
    generator = np.random.default_rng(seed)
    categories = generator.integers(0, 3, count)
    centres = np.eye(DIM)[categories]
    return EmbeddedProducts(
        embeddings=ProductEmbeddings(
            image=near(centres, 0.2, generator), text=near(centres, 0.2, generator)
        ),
        product_ids=tuple(f"{name} {row}" for row in range(count)),
        groups=tuple(f"g{row // 4}" for row in range(count)),
        categories=tuple(f"c{category}" for category in categories),
    )


def halves() -> tuple[EmbeddedProducts, EmbeddedProducts, EmbeddedProducts]:
    return draw("tuning", 40, 1), draw("reported", 60, 2), draw("product", 80, 3)


def test_offers_of_one_group_stay_on_one_side_unless_the_group_is_predicted() -> None:
    queries, _ = draw_products()
    tuning = split_queries(queries, "category", 42)
    groups = np.array(queries.groups)
    assert not set(groups[tuning]) & set(groups[~tuning])
    tuning = split_queries(queries, "group", 42)
    assert set(groups[tuning]) & set(groups[~tuning])
    assert tuning.sum() == len(queries) // 2
    by_category = replace(queries, groups=queries.categories)  # as quality.class_tables
    tuning = split_queries(by_category, "category", 42)
    categories = np.array(queries.categories)
    assert set(categories[tuning]) == set(categories[~tuning]) == set(LABELS.names)


@pytest.mark.parametrize("pattern", ["image", "text", "both"])
def test_both_methods_predict_near_offers(pattern: str) -> None:
    tuning, reported, gallery = halves()
    found = evaluate_pattern(
        pattern, tuning, reported, gallery, labels=LABELS, config=SETTINGS, fusion_weight=0.4
    )
    for result in found.results.values():
        assert result.reported.query_count == len(reported)
        assert result.reported.weighted_f1 > 0.8
        assert 0 <= result.margin <= 1
        assert result.reported.calibration_error.value < 0.1
    assert set(found.results["knn"].f1_by_k) == set(range(1, 6))
    assert found.results["mlp"].neighbour_count is None


def test_an_earlier_choice_gives_the_same_figures_without_tuning() -> None:
    tuning, reported, gallery = halves()
    first = evaluate_pattern(
        "both", tuning, reported, gallery, labels=LABELS, config=SETTINGS, fusion_weight=0.4
    )
    chosen = {
        name: Choice(
            neighbour_count=result.neighbour_count, margin=result.margin, curve=result.curve
        )
        for name, result in first.results.items()
    }
    again = evaluate_pattern(
        "both", None, reported, gallery,
        chosen=chosen, head=first.head, **HOW,
    )  # fmt: skip
    for name, result in first.results.items():
        assert again.results[name].reported == result.reported
    with pytest.raises(ValueError, match="another encoder"):
        evaluate_pattern(
            "image", None, reported, gallery,
            chosen=chosen, head=first.head, **HOW,
        )  # fmt: skip
    with pytest.raises(ValueError, match="tune it first"):
        evaluate_pattern(
            "both", None, reported, gallery, labels=LABELS, config=SETTINGS, fusion_weight=0.4
        )


def test_queries_without_the_pattern_are_left_out() -> None:
    tuning, reported, gallery = halves()
    reported = without(reported, "image", slice(0, 10))
    gallery = without(gallery, "image", slice(0, 3))
    found = evaluate_pattern(
        "image", tuning, reported, gallery, labels=LABELS, config=SETTINGS, fusion_weight=0.4
    )
    assert found.results["knn"].reported.query_count == len(reported) - 10


def test_a_pattern_that_no_query_has_is_refused() -> None:
    tuning, reported, gallery = halves()
    with pytest.raises(ValueError, match="no reported query"):
        evaluate_pattern(
            "image", tuning, without(reported, "image", slice(None)), gallery,
            **HOW,
        )  # fmt: skip


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="most_neighbours"):
        CategoryConfig(most_neighbours=0)
    with pytest.raises(ValueError, match="target_accuracy"):
        CategoryConfig(target_accuracy=0)
