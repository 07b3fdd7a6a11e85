"""The evaluator: its figures are those of its parts, on the right queries."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.evaluation.drawn_products import draw_products, without
from twinshelf.training.evaluation import evaluator as evaluator_module
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.evaluation.evaluation_config import EvaluationConfig
from twinshelf.training.evaluation.evaluation_results import EvaluationResult, read_tunings
from twinshelf.training.evaluation.evaluator import Evaluation, evaluate
from twinshelf.training.evaluation.match_worlds import TriedModels, evaluate_worlds
from twinshelf.training.files import write_json
from twinshelf.training.retrieval.match_probability import OfferLists

SETTINGS = EvaluationConfig()


def evaluate_drawn(**options: Any) -> Evaluation:
    queries, gallery = draw_products(**options)
    return evaluate(queries, gallery, fusion_weight=0.5, config=SETTINGS)


@pytest.mark.slow
def test_recall_at_1_equals_a_loop() -> None:
    queries, gallery = draw_products()
    found = evaluate(queries, gallery, fusion_weight=0.3, config=SETTINGS).result
    weights = {"image": (1, 0), "text": (0, 1), "both": (0.3, 0.7)}
    for pattern, (image, text) in weights.items():
        scores = image * queries.embeddings.image @ gallery.embeddings.image.T
        scores = scores + text * queries.embeddings.text @ gallery.embeddings.text.T
        hits = [
            gallery.groups[scores[query].argmax()] == group
            for query, group in enumerate(queries.groups)
            if group in gallery.groups
        ]
        assert found.patterns[pattern].metrics["Acc@1"].value == pytest.approx(np.mean(hits))
        assert found.patterns[pattern].metrics["R@1"].value == pytest.approx(np.mean(hits))


@pytest.mark.slow
def test_every_metric_of_every_k_is_reported_with_its_interval() -> None:
    found = evaluate_drawn().result.patterns["both"].metrics
    names = {f"{name}@{k}" for name in ("P", "R", "F1", "NDCG", "Acc") for k in (1, 5, 10)}
    assert set(found) == names | {"MAP"}
    for estimate in found.values():
        assert estimate.low <= estimate.value <= estimate.high


@pytest.mark.slow
def test_accuracy_at_10_is_reported_whatever_k_is_asked_for() -> None:
    queries, gallery = draw_products()
    config = replace(SETTINGS, top_k=(2,))
    found = evaluate(queries, gallery, fusion_weight=0.5, config=config).result
    assert list(found.patterns["text"].metrics)[-2:] == ["Acc@10", "MAP"]


@pytest.mark.slow
def test_queries_without_a_relevant_product_are_counted() -> None:
    found = evaluate_drawn().result.patterns["image"]
    assert (found.query_count, found.no_relevant_count) == (160, 20)


@pytest.mark.slow
def test_categories_are_reported_apart_and_add_up() -> None:
    found = evaluate_drawn().result.patterns["both"]
    assert list(found.by_category) == ["c0", "c1", "c2"]
    parts = found.by_category.values()
    assert sum(part.query_count for part in parts) == found.query_count
    weighted = sum(
        part.means["MAP"] * (part.query_count - part.no_relevant_count) for part in parts
    )
    expected = found.metrics["MAP"].value * (found.query_count - found.no_relevant_count)
    assert weighted == pytest.approx(expected)


@pytest.mark.slow
def test_a_pattern_that_no_query_has_is_absent() -> None:
    queries, gallery = draw_products()
    queries = without(queries, "image", slice(None))
    found = evaluate(queries, gallery, fusion_weight=0.5, config=SETTINGS).result
    assert list(found.patterns) == ["text"]


@pytest.mark.slow
def test_a_product_without_the_modality_is_never_a_candidate() -> None:
    queries, gallery = draw_products()
    hidden = without(gallery, "text", slice(0, 10))
    found = evaluate(queries, hidden, fusion_weight=0.5, config=SETTINGS).result
    whole = evaluate(queries, gallery, fusion_weight=0.5, config=SETTINGS).result
    assert found.patterns["image"].metrics == whole.patterns["image"].metrics
    worse, better = (part.patterns["text"].metrics["Acc@1"].value for part in (found, whole))
    assert worse < better


def test_the_group_of_one_product_is_not_the_identifier_of_another() -> None:
    _, gallery = draw_products(product_count=3)
    gallery = replace(gallery, product_ids=("100", "101", "7"), groups=("7", "7", ""))
    offer = replace(gallery.rows(np.array([0])), groups=("7",))
    judged, products = offer.judged_against(gallery)
    assert [group == judged.groups[0] for group in products.groups] == [False, False, True]


@pytest.mark.slow
def test_tuning_is_tried_on_the_other_half() -> None:
    found = evaluate_drawn().result.patterns["both"]
    assert found.held_out is not None
    assert found.held_out.query_count == 80
    assert found.held_out.worlds["closed"].first.error.value < 0.1
    assert found.held_out.worlds["open"].offer_count == 2 * 140
    assert found.held_out.row_f1.value > 0.5
    assert found.held_out.matches.precision > 0.8


@pytest.mark.slow
def test_judged_offers_are_fitted_to_and_counted_nowhere() -> None:
    queries, gallery = draw_products()
    products = dict(zip(gallery.groups, gallery.product_ids, strict=True))
    judged = draw_products(noise=0.6)[0].rows(np.arange(0, 160, 3))
    named = tuple(products.get(group, "gone") for group in judged.groups)
    repeated = replace(judged, groups=named)
    judged = replace(repeated, product_ids=tuple(f"judged {each}" for each in named))
    config = EvaluationConfig()
    plain, fitted = (
        evaluate(queries, gallery, fusion_weight=0.5, config=config, judged=each).result
        for each in (None, judged)
    )
    for pattern, found in plain.patterns.items():
        other = fitted.patterns[pattern]
        assert found.metrics == other.metrics
        assert found.tuning and other.tuning
        assert found.tuning.match_models != other.tuning.match_models
    gone = replace(judged, groups=("gone",) * len(judged))
    for unused in (gone, repeated):  # not in the gallery; among the queries
        same = evaluate(queries, gallery, fusion_weight=0.5, config=config, judged=unused).result
        assert same.patterns["both"].tuning == plain.patterns["both"].tuning


@pytest.mark.slow
def test_both_modalities_have_models_on_either_side() -> None:
    patterns = evaluate_drawn().result.patterns
    weights = {
        name: [model.image_weight for model in part.tuning.match_models]
        for name, part in patterns.items()
        if part.tuning
    }
    assert weights == {"image": [1], "text": [0], "both": [0.5, 0.25, 0.75]}


def saved(result: EvaluationResult, path: Path) -> str:
    write_json(path, result)
    return path.read_text("utf-8")


@pytest.mark.slow
def test_candidates_without_a_photo_are_judged_by_the_models_that_serve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[list[float]] = []

    def note(lists: OfferLists, models: Sequence[TriedModels], *names: Any) -> Any:
        tried.append([model.image_weight for model in models[0][1]])
        return evaluate_worlds(lists, models, *names)

    monkeypatch.setattr(evaluator_module, "evaluate_worlds", note)
    queries, gallery = draw_products()
    gallery = without(gallery, "image", slice(0, 10))
    evaluate(queries, gallery, fusion_weight=0.4, config=EvaluationConfig())
    assert tried == [[1.0], [0.0], [0.0, 0.2, 0.4, 0.7, 1.0]]


@pytest.mark.slow
def test_an_earlier_tuning_is_tried_on_all_queries(tmp_path: Path) -> None:
    first = evaluate_drawn()
    tunings = read_tunings(saved(first.result, tmp_path / "r.json"))
    assert tunings == {name: part.tuning for name, part in first.result.patterns.items()}
    queries, gallery = draw_products(seed=5)
    found = evaluate(queries, gallery, fusion_weight=0.5, config=SETTINGS, tunings=tunings)
    for name, part in found.result.patterns.items():
        assert part.held_out is not None
        assert part.held_out.query_count == part.query_count
        assert part.tuning == tunings[name]


def test_queries_of_one_class_are_evaluated_but_not_tuned(tmp_path: Path) -> None:
    queries, gallery = draw_products()
    strangers = EmbeddedProducts(
        embeddings=queries.embeddings,
        product_ids=queries.product_ids,
        groups=tuple(f"unknown {group}" for group in queries.groups),
        categories=queries.categories,
    )
    result = evaluate(strangers, gallery, fusion_weight=0.5, config=SETTINGS).result
    found = result.patterns["both"]
    assert found.tuning is None and found.held_out is None
    assert "same product and one of another, got 160 lists" in found.untuned_reason
    assert math.isnan(found.metrics["MAP"].value)
    text = saved(result, tmp_path / "r.json")
    assert json.loads(text)["patterns"]["both"]["metrics"]["MAP"]["value"] is None
    assert read_tunings(text) == {}


@pytest.mark.slow
def test_one_seed_gives_one_result(tmp_path: Path) -> None:
    first, second = (saved(evaluate_drawn().result, tmp_path / "r.json") for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_the_order_of_queries_changes_no_mean() -> None:
    queries, gallery = draw_products()
    order = np.random.default_rng(0).permutation(len(queries))
    straight = evaluate(queries, gallery, fusion_weight=0.5, config=SETTINGS).result
    mixed = evaluate(queries.rows(order), gallery, fusion_weight=0.5, config=SETTINGS).result
    for pattern, part in straight.patterns.items():
        for name, estimate in part.metrics.items():
            other = mixed.patterns[pattern].metrics[name]
            assert estimate.value == pytest.approx(other.value, abs=1e-12)
            assert estimate.low == pytest.approx(other.low, abs=1e-9)


@pytest.mark.parametrize("text", ["[]", "{}", '{"patterns": {"image": {}}}'])
def test_other_json_has_no_tunings(text: str) -> None:
    with pytest.raises(ValueError, match="not the results of an evaluation"):
        read_tunings(text)
