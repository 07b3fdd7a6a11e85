"""Fits the match model of one weight of the photo to retrieval lists of held-out offers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, xlog1py, xlogy

from twinshelf.training.retrieval.match_probability import (
    NEVER,
    PRIORS,
    SCORE_CEILING,
    TARGETS,
    Floats,
    MatchModel,
    OfferLists,
    evidence,
    match_probabilities,
    right_shares,
)
from twinshelf.training.retrieval.scored_pairs import Bools, expected_precision

# Logarithms of sharpness and steepness that nothing tells against, and how little they weigh.
USUAL_SHARPNESS, USUAL_STEEPNESS, RIDGE = 3.0, 1.0, 1e-3
# How often the first match counts beside every candidate: it is the one that callers act on.
FIRST_MATCH_WEIGHT = 3.0
# What is rather wrong than right is no match, whatever the precision asked for.
LEAST_THRESHOLD = 0.5
NO_THRESHOLDS = ((NEVER,) * len(TARGETS),) * len(PRIORS)


def fit_match_model(lists: OfferLists, image_weight: float) -> MatchModel:
    """Fits by maximum likelihood, and then the thresholds.

    Every offer with a right product in the catalogue is used twice: as it is, and as one without a
    match, by taking the right products out. Thus half of the offers have a match, which is the
    prior that `even_score` stands for. Lists that miss the right product count: else more would be
    claimed than is found.

    Args:
        lists: Held-out offers.
        image_weight: Weight of the photo in their search, 0 to 1.

    Raises:
        ValueError: If no list holds a right product and a wrong one.
    """
    has_match, is_found = lists.relevant_counts > 0, np.asarray(lists.is_match.any(axis=1))
    closed = lists.rows(has_match)
    open_lists = closed.without_matches()
    if not np.isfinite(open_lists.scores[is_found[has_match]]).any():
        raise ValueError(
            "a match model needs lists with a candidate of the same product and one of another, "
            f"got {len(lists)} lists, {is_found.sum()} of them with the same product"
        )
    others = np.concatenate([open_lists.scores[:, 0], lists.scores[~has_match, 0]])
    steepness, even_score = _fit_odds(closed.scores[:, 0], others)
    sharpness, rivalry = _fit_shares(closed)
    model = MatchModel(
        image_weight=image_weight,
        steepness=steepness,
        even_score=even_score,
        sharpness=sharpness,
        rivalry=rivalry,
        thresholds=NO_THRESHOLDS,
    )
    return replace(model, thresholds=_fit_thresholds(model, closed, open_lists))


def _fit_odds(with_match: Floats, without: Floats) -> tuple[float, float]:
    """Fits steepness and even score to best scores of lists with a right product and without.

    Targets claim no more than the counts allow; both kinds weigh alike.

    Source: Platt, Probabilistic outputs for support vector machines (1999), section 2.2.
    """
    with_match, without = (each[np.isfinite(each)] for each in (with_match, without))
    positive, negative = (len(with_match) + 1) / (len(with_match) + 2), 1 / (len(without) + 2)

    def loss(values: Floats) -> float:
        """Negative log likelihood of (log steepness, log distance at even odds)."""
        steepness, even_score = np.exp(values[0]), SCORE_CEILING - np.exp(values[1])
        yes, no = (expit(evidence(each, steepness, even_score)) for each in (with_match, without))
        likelihood = _log_likelihood(yes, positive).mean() + _log_likelihood(no, negative).mean()
        return float(-likelihood / 2 + RIDGE * (values[0] - USUAL_STEEPNESS) ** 2)

    middle = np.log(SCORE_CEILING - np.median(np.concatenate([with_match, without])))
    found = minimize(loss, [USUAL_STEEPNESS, middle], bounds=[(-3, 5), (-8, 8)], method="L-BFGS-B")
    return float(np.exp(found.x[0])), float(SCORE_CEILING - np.exp(found.x[1]))


def _fit_shares(lists: OfferLists) -> tuple[float, float]:
    """Fits sharpness and rivalry to lists of offers that have a match."""
    is_there = np.isfinite(lists.scores)
    leads = np.where(is_there, lists.scores - np.maximum(lists.scores[:, :1], -1), -np.inf)

    def loss(values: Floats) -> float:
        """Negative log likelihood of (log sharpness, log rivalry)."""
        shares = right_shares(np.exp(values[0]) * leads, np.exp(values[1]))
        likelihood = np.where(is_there, _log_likelihood(shares, lists.is_match), 0)
        fit = likelihood.sum(axis=1) + FIRST_MATCH_WEIGHT * likelihood[:, 0]
        return float(-fit.mean() + RIDGE * (values[0] - USUAL_SHARPNESS) ** 2)

    found = minimize(loss, [USUAL_SHARPNESS, 0.0], bounds=[(-1, 7), (-7, 5)], method="L-BFGS-B")
    return float(np.exp(found.x[0])), float(np.exp(found.x[1]))


def _log_likelihood(probabilities: Floats, is_true: npt.ArrayLike) -> Floats:
    given = np.clip(probabilities, 1e-9, 1 - 1e-9)
    labels = np.asarray(is_true, np.float64)
    return np.asarray(xlogy(labels, given) + xlog1py(1 - labels, -given))


def _fit_thresholds(
    model: MatchModel, closed: OfferLists, open_lists: OfferLists
) -> tuple[tuple[float, ...], ...]:
    """Finds, for each prior and target, the least probability that reaches it, or `NEVER`.

    A share of the offers, the prior, stands as it is, the rest without its right products.
    """
    labels = np.concatenate([closed.is_match.ravel(), open_lists.is_match.ravel()])
    rows = []
    for prior in PRIORS:
        given = np.concatenate(
            [match_probabilities(lists, [model], prior).matches for lists in (closed, open_lists)]
        ).ravel()
        weights = np.repeat([prior, 1 - prior], len(given) // 2)
        rows.append(least_probabilities(given, labels, weights))
    return tuple(rows)


def least_probabilities(
    given: Floats, is_right: Bools, weights: Floats | float = 1.0
) -> tuple[float, ...]:
    """Finds the least probability from which on each of `TARGETS` is reached, or `NEVER`.

    Arguments as of `expected_precision`, whose scores are the probabilities themselves.
    """
    given, precision = expected_precision(given, is_right, given, weights)
    found = [given[precision >= target] for target in TARGETS]
    least = [each[-1] if len(each) else NEVER for each in found]
    return tuple(map(float, np.maximum.accumulate([LEAST_THRESHOLD, *least])[1:]))
