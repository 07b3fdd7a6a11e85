"""Re-ranking orders as it says, and its figures are those of a slow count."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.reranking import blend, interval, measure, reorder


def test_the_best_are_ordered_anew_and_stay_before_the_rest() -> None:
    first = np.array([[0.9, 0.8, 0.1]], np.float32)
    second = np.array([[-0.5, 0.2, 0.9]], np.float32)
    assert np.argsort(-reorder(first, second, 2)).tolist() == [[1, 0, 2]]


def test_a_row_is_blended_with_near_others_alone() -> None:
    row = np.array([[1, 0]], np.float32)
    others = np.array([[0.6, 0.8], [0, 1]], np.float32)
    mixed = np.array([1 + 0.6 * 0.6, 0.6 * 0.8])
    blended = blend(row, others, 2, 1, 0.5)
    np.testing.assert_allclose(blended[0], mixed / np.linalg.norm(mixed), atol=1e-6)
    np.testing.assert_array_equal(blend(row, others, 2, 1, 0.7), row)


def test_figures_are_those_counted_by_hand() -> None:
    scores = np.array([[0.9, 0.8, 0.7]], np.float32)
    is_right = np.array([[False, True, True]])
    assert measure(scores, is_right)[0].tolist() == pytest.approx([0, 1, (1 / 2 + 2 / 3) / 2])


def test_the_interval_of_one_difference_everywhere_is_that_difference() -> None:
    found = interval(np.full((4, 3), 0.25), ["a", "a", "b", "c"], draws=20)
    np.testing.assert_allclose(found, 0.25)
