"""Quality of groups against slow versions and scikit-learn."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from twinshelf.training.grouping.group_scores import evaluate_groups


def slow_row_f1(found: np.ndarray, actual: list[str]) -> float:
    values = []
    for row in range(len(found)):
        guessed = {other for other in range(len(found)) if found[other] == found[row]}
        right = {other for other in range(len(found)) if actual[other] == actual[row]}
        values.append(2 * len(guessed & right) / (len(guessed) + len(right)))
    return float(np.mean(values))


@pytest.mark.parametrize("seed", range(4))
def test_rows_and_pairs_equal_a_loop(seed: int) -> None:
    generator = np.random.default_rng(seed)
    actual = [f"g{number}" for number in generator.integers(0, 15, 80)]
    found = generator.integers(0, 20, 80)
    quality = evaluate_groups(found, actual)
    assert quality is not None
    assert quality.row_f1 == pytest.approx(slow_row_f1(found, actual))
    guessed, right = (
        {pair for pair in combinations(range(80), 2) if groups[pair[0]] == groups[pair[1]]}
        for groups in (found, actual)
    )
    both = len(guessed & right)
    assert quality.pair_precision == pytest.approx(both / len(guessed))
    assert quality.pair_recall == pytest.approx(both / len(right))
    assert quality.pair_f1 == pytest.approx(2 * both / (len(guessed) + len(right)))


def test_right_groups_have_full_marks() -> None:
    quality = evaluate_groups(np.array([3, 3, 1]), ["a", "a", "b"])
    assert quality is not None
    assert (quality.row_f1, quality.pair_f1, quality.found_group_count) == (1.0, 1.0, 2)


def test_products_of_unknown_group_are_looked_through() -> None:
    with_unknown = evaluate_groups(np.array([0, 0, 0, 1]), ["a", "", "a", "b"])
    without = evaluate_groups(np.array([0, 0, 1]), ["a", "a", "b"])
    assert with_unknown == without


def test_lone_items_count_in_rows_and_make_no_pairs() -> None:
    quality = evaluate_groups(np.array([0, 1, 2]), ["a", "b", "c"])
    assert quality is not None
    assert quality.row_f1 == 1.0
    assert math.isnan(quality.pair_f1)


def test_without_labels_there_is_no_quality() -> None:
    assert evaluate_groups(np.array([0, 1]), ["", ""]) is None
