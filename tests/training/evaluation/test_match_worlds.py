"""Both worlds: what is counted, that nobody judges what it was fitted to, and the oracle."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.training.retrieval.drawn_lists import draw_lists
from twinshelf.training.evaluation.match_worlds import cross_fitted_models, evaluate_worlds

pytestmark = pytest.mark.slow

LISTS = draw_lists()
CLUSTERS = [f"g{number // 3}" for number in range(len(LISTS))]
CATEGORIES = ["large"] * 550 + ["small"] * 30 + [""] * 20


def test_each_offer_is_tried_once_by_a_model_that_has_not_seen_its_cluster() -> None:
    tried = cross_fitted_models(LISTS, CLUSTERS, 0.4, seed=1)
    assert np.sum([chosen for chosen, _ in tried], axis=0).tolist() == [1] * len(LISTS)
    for chosen, _ in tried:
        inside = {CLUSTERS[row] for row in np.flatnonzero(chosen)}
        assert not inside & {CLUSTERS[row] for row in np.flatnonzero(~chosen)}
    assert len({models[0] for _, models in tried}) == 5


def test_both_worlds_are_calibrated() -> None:
    tried = cross_fitted_models(LISTS, CLUSTERS, 0.4, seed=1)
    worlds = evaluate_worlds(LISTS, tried, CLUSTERS, CATEGORIES)
    closed, opened = worlds["closed"], worlds["open"]
    assert (closed.offer_count, opened.offer_count) == (600, 1200)
    assert closed.accuracy == pytest.approx(LISTS.is_match[:, 0].mean())
    assert opened.accuracy == pytest.approx(closed.accuracy / 2)
    assert closed.first.error.value < 0.03 and opened.first.error.value < 0.05
    assert math.isnan(closed.has_match_auroc) and 0.7 < opened.has_match_auroc < 1
    assert list(closed.by_category) == ["large"] == list(opened.by_category)


def test_coverage_comes_near_the_oracle() -> None:
    tried = cross_fitted_models(LISTS, CLUSTERS, 0.4, seed=1)
    found = evaluate_worlds(LISTS, tried, CLUSTERS, CATEGORIES)["open"].coverage["0.9"]
    assert 0.1 < found.share < 0.5
    assert found.share > 0.8 * found.oracle_share
    assert found.precision > 0.85


def test_an_offer_whose_product_is_not_listed_has_one_all_the_same() -> None:
    lists = replace(LISTS, is_match=np.zeros_like(LISTS.is_match))
    tried = cross_fitted_models(LISTS, CLUSTERS, 0.4, seed=1)
    found = evaluate_worlds(lists, tried, CLUSTERS, CATEGORIES)["open"]
    assert 0 <= found.has_match_auroc <= 1  # NaN, were they counted as without
