"""Match probabilities: the formula against a loop, its bounds, and what shifts it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.training.retrieval.drawn_lists import draw_lists
from twinshelf.training.files import made_of
from twinshelf.training.retrieval.match_probability import (
    PRIORS,
    TARGETS,
    MatchModel,
    MatchProbability,
    OfferLists,
    match_probabilities,
    match_thresholds,
)

THRESHOLDS = tuple(tuple(target * prior for target in TARGETS) for prior in PRIORS)
MODEL = MatchModel(
    image_weight=0.4,
    steepness=3.0,
    even_score=0.7,
    sharpness=15.0,
    rivalry=0.6,
    thresholds=THRESHOLDS,
)


def lists_of(*scores: float, image_weight: float = 0.4) -> OfferLists:
    row = np.array([scores])
    return OfferLists(
        scores=row,
        image_weights=np.full(row.shape, image_weight),
        is_match=np.zeros(row.shape, dtype=np.bool_),
        relevant_counts=np.zeros(1, dtype=np.int64),
        has_itself=np.zeros(1, dtype=np.bool_),
    )


def test_the_formula_equals_a_loop() -> None:
    scores, prior = (0.9, 0.85, 0.2, -math.inf), 0.3
    odds = prior / (1 - prior) * ((1.02 - 0.7) / (1.02 - 0.9)) ** 3
    weights = [math.exp(15 * (score - 0.7)) for score in scores]
    shares = [w / (w + 0.6 * (sum(weights) - w)) for w in weights]
    found = match_probabilities(lists_of(*scores), [MODEL], prior)
    assert found.no_match[0] == pytest.approx(1 / (1 + odds))
    assert found.matches[0] == pytest.approx([odds / (1 + odds) * share for share in shares])


def test_a_higher_score_is_more_probable() -> None:
    lists = draw_lists()
    found = match_probabilities(lists, [MODEL], 0.5).matches
    assert (np.diff(found, axis=1) <= 0).all()
    for place in (0, 1, 7):
        raised = lists.scores.copy()
        raised[:, place] += 0.01
        after = match_probabilities(replace(lists, scores=raised), [MODEL], 0.5).matches
        assert (after[:, place] > found[:, place]).all()


def test_a_match_is_never_more_probable_than_that_there_is_one() -> None:
    found = match_probabilities(draw_lists(), [MODEL], 0.5)
    assert (found.matches <= 1 - found.no_match[:, None] + 1e-12).all()


def test_exclusive_matches_and_no_match_sum_to_one() -> None:
    found = match_probabilities(draw_lists(), [replace(MODEL, rivalry=1.0)], 0.5)
    assert found.matches.sum(axis=1) + found.no_match == pytest.approx(np.ones(600))


def test_the_prior_shifts_odds_by_bayes() -> None:
    lists = lists_of(0.8, 0.6)
    even, rare = (match_probabilities(lists, [MODEL], prior) for prior in (0.5, 0.1))
    odds = [(1 - found.no_match[0]) / found.no_match[0] for found in (even, rare)]
    assert odds[1] == pytest.approx(odds[0] / 9)
    assert match_probabilities(lists, [MODEL], 1.0).no_match[0] == 0


@pytest.mark.parametrize("prior", [0.5, 1.0])
def test_without_a_candidate_there_is_no_match(prior: float) -> None:
    found = match_probabilities(lists_of(-math.inf, -math.inf), [MODEL], prior)
    assert found.no_match.tolist() == [1.0] and found.matches.tolist() == [[0.0, 0.0]]


def test_weights_between_two_models_are_interpolated() -> None:
    models = [MODEL, replace(MODEL, image_weight=0.8, steepness=5.0, even_score=0.5)]
    middle = replace(MODEL, image_weight=0.6, steepness=4.0, even_score=0.6)
    lists = lists_of(0.8, 0.6, image_weight=0.6)
    expected = match_probabilities(lists, [middle], 0.5).matches
    assert match_probabilities(lists, models, 0.5).matches == pytest.approx(expected)


def test_thresholds_are_interpolated_and_never_below_an_unknown_target() -> None:
    weights = np.array([0.4, 0.9])
    found = match_thresholds([MODEL], weights, 0.35, 0.85)
    assert found == pytest.approx([0.85 * 0.35] * 2)
    assert match_thresholds([MODEL], weights, 0.5, 0.999).tolist() == [0.999] * 2


def test_taking_the_right_products_out_moves_the_others_up() -> None:
    lists = draw_lists(offer_count=50)
    without = lists.without_matches()
    for before, right, after in zip(lists.scores, lists.is_match, without.scores, strict=True):
        assert after.tolist() == [*before[~right].tolist(), -math.inf]
    assert not without.is_match.any()


def test_models_survive_json() -> None:
    models = MatchProbability(models=(MODEL, replace(MODEL, image_weight=1.0)), match_prior=0.5)
    text = json.dumps(models.to_values())
    assert made_of(MatchProbability, json.loads(text)) == models


@pytest.mark.parametrize(
    "changes",
    [
        {"image_weight": 1.1},
        {"rivalry": -0.1},
        {"steepness": 0.0},
        {"sharpness": math.nan},
        {"even_score": 1.02},
        {"thresholds": ((0.5,),)},
    ],
)
def test_a_model_out_of_range_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        replace(MODEL, **changes)


def test_models_must_rise_and_the_prior_be_a_share() -> None:
    with pytest.raises(ValueError, match="rising weights"):
        MatchProbability(models=(MODEL, MODEL), match_prior=0.5)
    with pytest.raises(ValueError, match="match_prior must be"):
        MatchProbability(models=(MODEL,), match_prior=0.0)
