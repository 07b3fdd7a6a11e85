"""The fit: calibrated on lists that it has not seen, for one right product and for several."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.retrieval.drawn_lists import draw_lists
from twinshelf.training.retrieval.match_probability import (
    NEVER,
    PRIORS,
    TARGETS,
    OfferLists,
    match_probabilities,
    match_thresholds,
)
from twinshelf.training.retrieval.match_probability_fit import (
    fit_match_model,
    least_probabilities,
)


@pytest.mark.parametrize("lead", [0.15, 0.3])
def test_the_first_match_is_as_often_right_as_claimed(lead: float) -> None:
    model = fit_match_model(draw_lists(lead=lead, seed=1), 0.4)
    lists = draw_lists(lead=lead, seed=2, offer_count=2000)
    closed = match_probabilities(lists, [model], 1.0).matches[:, 0]
    assert closed.mean() == pytest.approx(lists.is_match[:, 0].mean(), abs=0.03)
    both = [match_probabilities(each, [model], 0.5) for each in (lists, lists.without_matches())]
    claimed = np.mean([found.matches[:, 0].mean() for found in both])
    assert claimed == pytest.approx(lists.is_match[:, 0].mean() / 2, abs=0.04)
    assert np.mean([found.no_match.mean() for found in both]) == pytest.approx(0.5, abs=0.03)


def cut_lists(seed: int) -> OfferLists:
    """Draws long lists and cuts them, so that the right product is often behind their end."""
    lists = draw_lists(lead=0.15, length=60, seed=seed, offer_count=2000)
    names = ("scores", "image_weights", "is_match")
    return replace(lists, **{name: getattr(lists, name)[:, :10] for name in names})


@pytest.mark.slow
def test_no_more_is_claimed_than_lists_find() -> None:
    model, lists = fit_match_model(cut_lists(6), 0.4), cut_lists(7)
    assert 0.4 < lists.is_match.any(axis=1).mean() < 0.8
    found = match_probabilities(lists, [model], 1.0).matches
    assert found[:, 0].mean() == pytest.approx(lists.is_match[:, 0].mean(), abs=0.03)
    assert found.sum(axis=1).mean() == pytest.approx(lists.is_match.sum(axis=1).mean(), abs=0.05)


@pytest.mark.slow
def test_one_right_product_has_rivals_and_several_have_hardly_any() -> None:
    assert fit_match_model(draw_lists(), 0.4).rivalry > 0.8
    several = draw_lists(right_count=4, seed=3)
    model = fit_match_model(several, 0.4)
    assert model.rivalry < 0.2
    found = match_probabilities(several, [model], 1.0).matches
    assert found.sum(axis=1).mean() == pytest.approx(4, abs=0.4)


@pytest.mark.slow
@pytest.mark.parametrize("prior", [0.5, 1.0])
def test_thresholds_reach_their_precision_on_other_lists(prior: float) -> None:
    model = fit_match_model(draw_lists(seed=4, offer_count=2000), 0.4)
    lists = draw_lists(seed=5, offer_count=2000)
    for target in (0.8, 0.9, 0.95):
        threshold = match_thresholds([model], np.array([0.4]), prior, target)
        right = taken = 0.0
        for part, weight in ((lists, prior), (lists.without_matches(), 1 - prior)):
            is_taken = match_probabilities(part, [model], prior).matches >= threshold
            right += weight * (is_taken & part.is_match).sum()
            taken += weight * is_taken.sum()
        assert taken > 100
        # Lists drawn with another seed differ by some 0.02.
        assert right / taken > target - 0.06


def test_thresholds_rise_with_the_target_from_a_half() -> None:
    table = np.array(fit_match_model(draw_lists(), 0.4).thresholds)
    assert table.shape == (len(PRIORS), len(TARGETS))
    assert (np.diff(table, axis=1) >= 0).all() and table.min() >= 0.5
    hopeless = np.array(fit_match_model(draw_lists(lead=0.0), 0.4).thresholds)
    assert (hopeless[:, -1] == NEVER).all()


@pytest.mark.parametrize("right_count", [0, 20])
def test_lists_of_one_kind_are_refused(right_count: int) -> None:
    with pytest.raises(ValueError, match="same product and one of another, got 600 lists"):
        fit_match_model(draw_lists(right_count=right_count), 0.4)


def test_the_least_probability_is_that_from_which_on_a_target_is_reached() -> None:
    given = np.linspace(0.5, 1.0, 2001)
    is_right = np.random.default_rng(0).random(2001) < given
    found = least_probabilities(given, is_right)
    for target, least in zip(TARGETS, found, strict=True):
        # From p to 1 the mean is (1 + p) / 2; the share that was right varies by some hundredths.
        assert least == pytest.approx(max(0.5, 2 * target - 1), abs=0.04)
    assert set(least_probabilities(given, ~is_right.astype(bool) & False)) == {NEVER}
