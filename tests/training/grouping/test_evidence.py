"""Evidence of all patterns together finds planted groups."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.training.evaluation.drawn_products import without
from tests.training.grouping.planted import CALIBRATION, CURVE, plant
from training.calibration import Calibration
from training.grouping.evidence import (
    LEFT_OUT,
    Evidence,
    gather_evidence,
    group_by,
    thresholds_from_json,
    thresholds_to_json,
)
from training.grouping.quality import judge_groups
from training.grouping.settings import GroupingSettings

SETTINGS = GroupingSettings(neighbour_count=10)
SIZES = [5, 4, 4, 3, 2, 2, 1, 1, 1]


def gather(products, calibration: Calibration = CALIBRATION) -> Evidence:
    return gather_evidence(products, calibration=calibration, fusion_weight=0.5, settings=SETTINGS)


@pytest.mark.parametrize("most_exact_rows", [0, 1000])
def test_planted_groups_are_recovered_exactly_lone_items_included(most_exact_rows: int) -> None:
    products = plant(SIZES)
    settings = GroupingSettings(neighbour_count=10, most_exact_rows=most_exact_rows)
    evidence = gather_evidence(
        products, calibration=CALIBRATION, fusion_weight=0.5, settings=settings
    )
    groups = group_by(evidence, CALIBRATION.thresholds, settings)
    quality = judge_groups(groups.numbers, products.groups)
    assert quality is not None
    assert quality.row_f1 == 1.0
    assert groups.group_count == len(SIZES)


def test_one_kind_of_evidence_finds_what_the_others_miss() -> None:
    products = without(plant(SIZES), "image", slice(0, 12))
    alone = group_by(gather(products), {"image": 0.8}, SETTINGS)
    together = group_by(gather(products), CALIBRATION.thresholds, SETTINGS)
    qualities = [judge_groups(groups.numbers, products.groups) for groups in (alone, together)]
    assert qualities[0] is not None and qualities[1] is not None
    assert qualities[0].row_f1 < 1.0
    assert qualities[1].row_f1 == 1.0


def test_both_needs_both_modalities_on_both_sides() -> None:
    products = without(plant(SIZES), "text", slice(0, 12))
    edges = gather(products).edges["both"]
    assert min(edges.left.min(), edges.right.min()) >= 12


def test_a_pattern_without_a_curve_or_products_gives_no_edges() -> None:
    text_only = Calibration(curves={"text": CURVE}, thresholds={"text": 0.8})
    assert set(gather(plant(SIZES), text_only).edges) == {"text"}
    assert not gather(without(plant(SIZES), "text", slice(None)), text_only).edges


def test_a_pattern_without_a_threshold_accepts_nothing() -> None:
    evidence = gather(plant(SIZES))
    assert len(evidence.united({})) == 0
    assert len(evidence.united({"text": LEFT_OUT})) == 0
    assert len(evidence.united({"text": 0.8})) > 0


def test_groups_do_not_depend_on_the_order_of_products() -> None:
    products = plant(SIZES, noise=0.12)
    order = np.random.default_rng(1).permutation(len(products))
    turned = products.rows(order)
    found = []
    for catalogue in (products, turned):
        numbers = group_by(gather(catalogue), CALIBRATION.thresholds, SETTINGS).numbers
        members: dict[int, set[str]] = {}
        for number, product_id in zip(numbers.tolist(), catalogue.product_ids, strict=True):
            members.setdefault(number, set()).add(product_id)
        found.append({frozenset(group) for group in members.values()})
    assert found[0] == found[1]


def test_an_empty_catalogue_is_refused() -> None:
    products = plant(SIZES)
    with pytest.raises(ValueError, match="no products to group"):
        gather(products.rows(np.zeros(len(products), dtype=bool)))


def test_thresholds_survive_json() -> None:
    thresholds = {"image": 0.5, "text": math.inf}
    text = json.dumps({"thresholds": thresholds_to_json(thresholds)})
    assert thresholds_from_json(text) == thresholds
    with pytest.raises(ValueError, match="'smell'"):
        thresholds_from_json('{"thresholds": {"smell": 1}}')
    with pytest.raises(ValueError, match="not the results"):
        thresholds_from_json("{}")
