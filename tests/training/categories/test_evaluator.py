"""Tuning and judging: on different queries, by each pattern, with abstention."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.evaluation.drawn_products import DIM, draw_products, near, without
from training.categories.evaluator import judge_pattern, split_queries, with_label
from training.categories.labels import Labels
from training.categories.mlp import MlpConfig
from training.categories.results import Choice
from training.categories.settings import CategorySettings
from training.embeddings import ProductEmbeddings
from training.evaluation.embedded import EmbeddedProducts

SETTINGS = CategorySettings(
    fusion_weight=0.4, most_neighbours=5, mlp=MlpConfig(hidden_width=16, epoch_count=20)
)
LABELS = Labels(names=("c0", "c1", "c2"))


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
    by_category = replace(queries, groups=queries.categories)  # as training.quality.class_tables
    tuning = split_queries(by_category, "category", 42)
    categories = np.array(queries.categories)
    assert set(categories[tuning]) == set(categories[~tuning]) == set(LABELS.names)


@pytest.mark.parametrize("pattern", ["image", "text", "both"])
def test_both_methods_predict_near_offers(pattern: str) -> None:
    tuning, reported, gallery = halves()
    judged = judge_pattern(pattern, tuning, reported, gallery, labels=LABELS, settings=SETTINGS)
    for result in judged.results.values():
        assert result.reported.query_count == len(reported)
        assert result.reported.weighted_f1 > 0.8
        assert 0 <= result.margin <= 1
    assert set(judged.results["knn"].f1_by_k) == set(range(1, 6))
    assert judged.results["mlp"].neighbour_count is None


def test_an_earlier_choice_gives_the_same_figures_without_tuning() -> None:
    tuning, reported, gallery = halves()
    first = judge_pattern("both", tuning, reported, gallery, labels=LABELS, settings=SETTINGS)
    chosen = {
        name: Choice(neighbour_count=result.neighbour_count, margin=result.margin)
        for name, result in first.results.items()
    }
    again = judge_pattern(
        "both", None, reported, gallery,
        labels=LABELS, settings=SETTINGS, chosen=chosen, head=first.head,
    )  # fmt: skip
    for name, result in first.results.items():
        assert again.results[name].reported == result.reported
    with pytest.raises(ValueError, match="another encoder"):
        judge_pattern(
            "image", None, reported, gallery,
            labels=LABELS, settings=SETTINGS, chosen=chosen, head=first.head,
        )  # fmt: skip
    with pytest.raises(ValueError, match="tune it first"):
        judge_pattern("both", None, reported, gallery, labels=LABELS, settings=SETTINGS)


def test_queries_without_the_pattern_and_products_without_a_label_are_left_out() -> None:
    tuning, reported, gallery = halves()
    reported = without(reported, "image", slice(0, 10))
    gallery = without(gallery, "image", slice(0, 3))
    judged = judge_pattern("image", tuning, reported, gallery, labels=LABELS, settings=SETTINGS)
    assert judged.results["knn"].reported.query_count == len(reported) - 10
    unlabelled = EmbeddedProducts(
        embeddings=gallery.embeddings,
        product_ids=gallery.product_ids,
        groups=gallery.groups,
        categories=("", *gallery.categories[1:]),
    )
    assert len(with_label(unlabelled, "category")) == len(gallery) - 1


def test_a_pattern_that_no_query_has_is_refused() -> None:
    tuning, reported, gallery = halves()
    with pytest.raises(ValueError, match="no reported query"):
        judge_pattern(
            "image", tuning, without(reported, "image", slice(None)), gallery,
            labels=LABELS, settings=SETTINGS,
        )  # fmt: skip


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="patterns"):
        CategorySettings(patterns=("smell",))
    with pytest.raises(ValueError, match="most_neighbours"):
        CategorySettings(most_neighbours=0)
    with pytest.raises(ValueError, match="target_accuracy"):
        CategorySettings(target_accuracy=0)
