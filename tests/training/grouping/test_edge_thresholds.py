"""Tuned thresholds: never worse than those they began with, and useless evidence is left out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.training.grouping.planted import CALIBRATION, plant
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.grouping.edge_thresholds import read_thresholds, tune_thresholds
from twinshelf.training.grouping.evidence import gather_evidence, group_by
from twinshelf.training.grouping.group_scores import evaluate_groups
from twinshelf.training.grouping.grouping_config import GroupingConfig
from twinshelf.training.retrieval.embeddings import ProductEmbeddings

SETTINGS = GroupingConfig(neighbour_count=8)


def with_misleading_images(products: EmbeddedProducts) -> EmbeddedProducts:
    """Gives pairs of products of different groups the same photo."""
    image = products.embeddings.image.copy()
    image[1::2] = image[:-1:2][: len(image[1::2])]
    return EmbeddedProducts(
        embeddings=ProductEmbeddings(image=image, text=products.embeddings.text),
        product_ids=products.product_ids,
        groups=products.groups,
        categories=products.categories,
    )


def test_tuning_leaves_out_what_misleads() -> None:
    products = with_misleading_images(plant([4, 4, 3, 3, 2, 1], noise=0.1))
    evidence = gather_evidence(
        products, calibration=CALIBRATION, fusion_weight=0.5, config=SETTINGS
    )
    before = evaluate_groups(
        group_by(evidence, CALIBRATION.thresholds, SETTINGS).numbers, products.groups
    )
    tuned = tune_thresholds(evidence, products.groups, CALIBRATION.thresholds, SETTINGS)
    after = evaluate_groups(group_by(evidence, tuned.thresholds, SETTINGS).numbers, products.groups)
    assert before is not None and after is not None
    assert after.row_f1 == pytest.approx(tuned.row_f1)
    assert after.row_f1 > before.row_f1
    assert np.isinf(tuned.thresholds["image"])


def test_groups_of_one_product_have_nothing_to_tune_by() -> None:
    products = plant([1, 1, 1])
    evidence = gather_evidence(
        products, calibration=CALIBRATION, fusion_weight=0.5, config=SETTINGS
    )
    with pytest.raises(ValueError, match="two products or more"):
        tune_thresholds(evidence, products.groups, CALIBRATION.thresholds, SETTINGS)


def test_thresholds_are_read_from_results(tmp_path: Path) -> None:
    path = tmp_path / "groups.json"
    path.write_text('{"thresholds": {"image": 0.5, "text": null}}')
    assert read_thresholds(path) == {"image": 0.5, "text": math.inf}
    path.write_text('{"thresholds": {"smell": 1}}')
    with pytest.raises(ValueError, match="'smell'"):
        read_thresholds(path)
    path.write_text("{}")
    with pytest.raises(ValueError, match="is not of a grouping"):
        read_thresholds(path)
