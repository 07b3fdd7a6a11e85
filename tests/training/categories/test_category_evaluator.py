"""Tuning and evaluation: on different queries, by each pattern, with abstention."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.evaluation.drawn_products import DIM, draw_products, near, without
from twinshelf.training.categories.category_config import CategoryConfig
from twinshelf.training.categories.category_evaluator import (
    LabelledGallery,
    fit_probability,
    label_probabilities,
    split_queries,
)
from twinshelf.training.categories.category_labels import Labels, Predictions
from twinshelf.training.categories.knn import MOST_NEIGHBOURS
from twinshelf.training.evaluation.category_vote import UNKNOWN
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.retrieval.embeddings import ProductEmbeddings

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
    by_category = replace(queries, groups=queries.categories)  # as quality.class_tables
    tuning = split_queries(by_category, "category", 42)
    categories = np.array(queries.categories)
    assert set(categories[tuning]) == set(categories[~tuning]) == set(LABELS.names)
    numbered = replace(queries, groups=tuple(f"number of {each}" for each in queries.categories))
    assert (split_queries(numbered, "category", 42) == tuning).all()  # as KazanExpress


def labelled(gallery: EmbeddedProducts, pattern: str) -> LabelledGallery:
    return LabelledGallery.of(
        gallery, pattern, labels=LABELS, config=CategoryConfig(), fusion_weight=0.4
    )


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["image", "text", "both"])
def test_both_methods_predict_near_offers(pattern: str) -> None:
    tuning, reported, gallery = halves()
    rows = labelled(gallery, pattern)
    tuned = rows.tune(tuning, reported)
    found = rows.evaluate(reported, tuned)
    for result in found.values():
        assert result.reported.query_count == len(reported)
        assert result.reported.weighted_f1 > 0.8
        assert list(result.choice.thresholds) == sorted(result.choice.thresholds)
        assert result.reported.answered.precision >= 0.9
        assert result.reported.calibration_error.value < 0.1
    assert set(found["knn"].choice.f1_by_k) == set(range(1, MOST_NEIGHBOURS + 1))
    assert found["mlp"].choice.neighbour_count is None
    with pytest.raises(ValueError, match="another encoder"):
        labelled(gallery, "text" if pattern == "both" else "both").evaluate(reported, tuned)


def made(margins: list[float], numbers: list[int] | None = None) -> Predictions:
    found = numbers if numbers is not None else [0] * len(margins)
    return Predictions(numbers=np.array(found), margins=np.array(margins))


def test_the_probability_is_the_share_of_right_labels_at_a_margin() -> None:
    generator = np.random.default_rng(1)
    margins = generator.random(20_000)
    right = generator.random(20_000) < margins**2
    curve = fit_probability(made(margins.tolist()), right)
    assert np.abs(curve.probability([0.2, 0.5, 0.8]) - [0.04, 0.25, 0.64]).max() < 0.06


def test_no_examples_make_a_probability_certain() -> None:
    for right, probability in ((True, 0.75), (False, 0.25)):
        predictions = made([0.3, 0.9], [0, UNKNOWN])
        curve = fit_probability(predictions, np.array([right, right]))
        assert curve.probability([0.0, 1.0]).tolist() == [probability] * 2
        assert label_probabilities(predictions, curve).tolist() == [probability, 0.0]


@pytest.mark.slow
def test_a_target_decides_what_is_answered() -> None:
    offers = draw("offer", 600, 1)
    text = offers.embeddings.text.copy()
    between = np.eye(DIM)[[0, 1, 2]].sum(axis=0)  # the offers there show nothing
    text[::2] = near(np.tile(between, (300, 1)), 0.1, np.random.default_rng(2))
    blurred = replace(offers, embeddings=replace(offers.embeddings, text=text))
    tuning, reported = blurred.rows(np.arange(300)), blurred.rows(np.arange(300, 600))
    rows = labelled(draw("product", 80, 3), "text")
    tuned = rows.tune(tuning, reported)
    answered = {
        target: replace(rows, config=CategoryConfig(target_accuracy=target))
        .evaluate(reported, tuned)["knn"]
        .reported.answered
        for target in (0.9, 1.0)
    }
    assert 0.4 < answered[0.9].share < 0.7 and answered[0.9].precision > 0.85
    assert answered[0.9].share == pytest.approx(answered[0.9].oracle_share, abs=0.1)
    assert answered[1.0].share == 0  # nothing is certain


@pytest.mark.slow
def test_offers_of_one_group_are_no_further_evidence() -> None:
    tuning, reported, gallery = halves()
    rows = labelled(gallery, "text")
    tuned = rows.tune(tuning, reported)
    alone = replace(
        reported,
        groups=tuple(f"g{row}" for row in range(len(reported))),
        categories=(*["c0"] * 20, *reported.categories[20:]),  # most of them are no longer right
    )
    many = alone.rows(np.repeat(np.arange(len(alone)), 10))
    once, tenfold = (rows.evaluate(each, tuned)["knn"].reported for each in (alone, many))
    assert tenfold.accuracy == once.accuracy and once.accuracy.low < once.accuracy.high
    assert tenfold.calibration_error.value == pytest.approx(once.calibration_error.value, abs=0.01)


@pytest.mark.slow
def test_the_best_k_votes_and_the_smallest_of_equals() -> None:
    tuning, reported, gallery = halves()
    choice = labelled(gallery, "both").tune(tuning, reported).choices["knn"]
    best = max(choice.f1_by_k.values())
    assert choice.tuned_f1 == best
    assert choice.neighbour_count == min(k for k, f1 in choice.f1_by_k.items() if f1 == best)


@pytest.mark.slow
def test_a_label_that_the_gallery_lacks_counts_as_wrong() -> None:
    tuning, reported, gallery = halves()
    reported = replace(reported, categories=("new", *reported.categories[1:]))
    rows = labelled(gallery, "text")
    found = rows.evaluate(reported, rows.tune(tuning, reported))["knn"].reported
    assert found.unseen_count == 1
    assert found.accuracy.value <= 1 - 1 / len(reported)


@pytest.mark.slow
def test_queries_without_the_pattern_are_left_out() -> None:
    tuning, reported, gallery = halves()
    reported = without(reported, "image", slice(0, 10))
    rows = labelled(without(gallery, "image", slice(0, 3)), "image")
    found = rows.evaluate(reported, rows.tune(tuning, reported))
    assert found["knn"].reported.query_count == len(reported) - 10
    assert len(rows.products) == len(gallery) - 3


@pytest.mark.slow
def test_the_network_never_learns_what_it_is_asked() -> None:
    tuning, reported, gallery = halves()
    assert set(labelled(reported, "text").tune(tuning, reported).choices) == {"knn"}
    odd = replace(reported, categories=tuple(f"c{row % 3}" for row in range(len(reported))))
    both = EmbeddedProducts(
        embeddings=ProductEmbeddings(
            image=np.concatenate([gallery.embeddings.image, odd.embeddings.image]),
            text=np.concatenate([gallery.embeddings.text, odd.embeddings.text]),
        ),
        product_ids=(*gallery.product_ids, *odd.product_ids),
        groups=(*gallery.groups, *odd.groups),
        categories=(*gallery.categories, *odd.categories),
    )
    for products in (gallery, both):
        rows = labelled(products, "text")
        found = rows.evaluate(odd, rows.tune(tuning, odd))["mlp"].reported
        assert found.weighted_f1 < 0.6


def test_a_pattern_that_no_query_has_is_refused() -> None:
    tuning, reported, gallery = halves()
    with pytest.raises(ValueError, match="no tuning query"):
        labelled(gallery, "image").tune(without(tuning, "image", slice(None)), reported)
