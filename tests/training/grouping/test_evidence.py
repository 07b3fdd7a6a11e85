"""Evidence of all patterns together finds planted groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.evaluation.drawn_products import without
from tests.training.grouping.planted import CALIBRATION, CURVE, plant
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.grouping.components import Groups, form_groups
from twinshelf.training.grouping.edges import Edges, unite
from twinshelf.training.grouping.evidence import gather_evidence, nearest_products
from twinshelf.training.grouping.group_scores import evaluate_groups
from twinshelf.training.grouping.grouping_config import GroupingConfig
from twinshelf.training.retrieval.calibration import Calibration
from twinshelf.training.retrieval.embeddings import PATTERNS, ProductEmbeddings

SETTINGS = GroupingConfig(neighbour_count=10)
SIZES = [5, 4, 4, 3, 2, 2, 1, 1, 1]


def gather(products: EmbeddedProducts, calibration: Calibration = CALIBRATION) -> dict[str, Edges]:
    return gather_evidence(products, calibration=calibration, fusion_weight=0.5, config=SETTINGS)


def group(
    products: EmbeddedProducts,
    calibration: Calibration = CALIBRATION,
    config: GroupingConfig = SETTINGS,
) -> Groups:
    edges = gather_evidence(products, calibration=calibration, fusion_weight=0.5, config=config)
    return form_groups(unite(list(edges.values())), len(products), config)


@pytest.mark.parametrize("most_exact_rows", [0, 1000])
def test_planted_groups_are_recovered_with_single_products(
    most_exact_rows: int,
) -> None:
    products = plant(SIZES)
    config = GroupingConfig(neighbour_count=10, most_exact_rows=most_exact_rows)
    groups = group(products, config=config)
    quality = evaluate_groups(groups.numbers, products.groups)
    assert quality is not None
    assert quality.row_f1 == 1.0
    assert groups.numbers.max() + 1 == len(SIZES)


def test_one_kind_of_evidence_finds_what_the_others_miss() -> None:
    products = without(plant(SIZES), "image", slice(0, 12))
    image_only = Calibration(curves={"image": CURVE}, thresholds={"image": 0.8})
    alone, together = group(products, image_only), group(products)
    qualities = [evaluate_groups(groups.numbers, products.groups) for groups in (alone, together)]
    assert qualities[0] is not None and qualities[1] is not None
    assert qualities[0].row_f1 < 1.0
    assert qualities[1].row_f1 == 1.0


def test_both_needs_both_modalities_on_both_sides() -> None:
    products = without(plant(SIZES), "text", slice(0, 12))
    edges = gather(products)["both"]
    assert min(edges.left.min(), edges.right.min()) >= 12


def test_a_pattern_without_a_curve_or_products_gives_no_edges() -> None:
    text_only = Calibration(curves={"text": CURVE}, thresholds={"text": 0.8})
    assert set(gather(plant(SIZES), text_only)) == {"text"}
    assert not gather(without(plant(SIZES), "text", slice(None)), text_only)


def test_no_pair_below_the_threshold_of_its_pattern_is_kept() -> None:
    products = plant(SIZES, noise=0.12)
    all_of_them = gather(products, replace(CALIBRATION, thresholds=dict.fromkeys(PATTERNS, -1.0)))
    for pattern, edges in gather(products).items():
        expected = all_of_them[pattern]
        expected = expected.rows(expected.scores >= CALIBRATION.thresholds[pattern])
        assert 0 < len(edges) < len(all_of_them[pattern])
        assert edges.left.tolist() == expected.left.tolist()
        assert edges.right.tolist() == expected.right.tolist()


def test_groups_do_not_depend_on_the_order_of_products() -> None:
    products = plant(SIZES, noise=0.12)
    order = np.random.default_rng(1).permutation(len(products))
    turned = products.rows(order)
    found = []
    for catalogue in (products, turned):
        numbers = group(catalogue).numbers
        members: dict[int, set[str]] = {}
        for number, product_id in zip(numbers.tolist(), catalogue.product_ids, strict=True):
            members.setdefault(number, set()).add(product_id)
        found.append({frozenset(group) for group in members.values()})
    assert found[0] == found[1]


WEIGHT = 0.3


def draw(count: int, seed: int = 0) -> ProductEmbeddings:
    generator = np.random.default_rng(seed)
    halves = []
    for dim in (12, 16):
        rows = generator.normal(size=(count, dim))
        halves.append((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))
    return ProductEmbeddings(image=halves[0], text=halves[1])


def test_the_exact_search_equals_a_loop_and_leaves_itself_out() -> None:
    products = draw(40)
    found = nearest_products(products, WEIGHT, GroupingConfig(neighbour_count=5))
    scores = 0.3 * products.image @ products.image.T + 0.7 * products.text @ products.text.T
    np.fill_diagonal(scores, -np.inf)
    expected = np.argsort(-scores, axis=1)[:, :5]
    assert np.array_equal(found.items, expected)
    # Float32 sums in another order.
    assert found.scores == pytest.approx(np.take_along_axis(scores, expected, axis=1), abs=1e-6)


def test_the_index_finds_what_the_exact_search_finds_with_its_scores() -> None:
    products = draw(300)
    exact = nearest_products(products, WEIGHT, GroupingConfig(neighbour_count=8))
    near = nearest_products(products, WEIGHT, GroupingConfig(neighbour_count=8, most_exact_rows=10))
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
    settings = GroupingConfig(neighbour_count=50, most_exact_rows=most_exact_rows)
    found = nearest_products(draw(4), WEIGHT, settings)
    assert [sorted(row) for row in found.items.tolist()] == [
        [1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]
    ]  # fmt: skip


def test_a_single_product_has_no_edges() -> None:
    assert gather(plant([1])) == {}
