"""Abstention by margin: what is fitted, and what it answers."""

from __future__ import annotations

import math

import numpy as np

from twinshelf.training.categories.abstention import (
    NEVER,
    evaluate_margin,
    fit_margin,
    fit_probability,
)
from twinshelf.training.categories.category_labels import Predictions


def made(margins: list[float], numbers: list[int] | None = None) -> Predictions:
    return Predictions(
        numbers=np.array(numbers if numbers is not None else [0] * len(margins)),
        margins=np.array(margins),
    )


def test_the_margin_is_the_smallest_that_reaches_the_target() -> None:
    predictions = made([0.9, 0.7, 0.5, 0.3, 0.1])
    right = np.array([True, True, True, False, False])
    assert fit_margin(predictions, right, target_accuracy=0.95) == 0.5
    assert fit_margin(predictions, right, target_accuracy=0.75) == 0.3


def test_nothing_is_left_out_where_all_answers_reach_the_target() -> None:
    assert fit_margin(made([0.0, 0.2]), np.array([True, True]), target_accuracy=1.0) == 0.0


def test_nothing_is_answered_where_no_answer_is_right() -> None:
    predictions, wrong = made([1.0, 0.2]), np.array([False, False])
    margin = fit_margin(predictions, wrong, target_accuracy=0.9)
    assert margin == NEVER
    found = evaluate_margin(predictions, wrong, margin)
    assert found.coverage == 0.0
    assert math.isnan(found.accuracy)


def test_coverage_and_accuracy_count_only_answers_with_a_label() -> None:
    predictions = made([0.9, 0.6, 0.2, 0.9], [0, 1, 0, -1])
    found = evaluate_margin(predictions, np.array([True, False, True, False]), 0.5)
    assert found.coverage == 0.5
    assert found.accuracy == 0.5


def test_the_probability_is_the_share_of_right_labels_at_a_margin() -> None:
    generator = np.random.default_rng(1)
    margins = generator.random(20_000)
    right = generator.random(20_000) < margins**2
    curve = fit_probability(made(margins.tolist()), right)
    assert np.abs(curve.probability([0.2, 0.5, 0.8]) - [0.04, 0.25, 0.64]).max() < 0.06


def test_no_examples_make_a_probability_certain() -> None:
    for right, probability in ((True, 0.75), (False, 0.25)):
        curve = fit_probability(made([0.3, 0.9]), np.array([right, right]))
        assert curve.probability([0.0, 1.0]).tolist() == [probability] * 2
