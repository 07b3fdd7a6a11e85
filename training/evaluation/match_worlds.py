"""What the probabilities of matches are worth: in a closed world and in an open one.

Closed: every offer has its product in the catalogue. Open: half of the offers do not, for their
products were taken out; every offer is counted once with and once without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_auc_score

from twinshelf.training.catalogues.splits import fold_numbers
from twinshelf.training.evaluation.reliability import (
    Coverage,
    Reliability,
    measure_coverage,
    measure_reliability,
)
from twinshelf.training.retrieval.match_probability import (
    Floats,
    MatchModel,
    OfferLists,
    match_probabilities,
    match_thresholds,
)
from twinshelf.training.retrieval.match_probability_fit import fit_match_model

OPEN_PRIOR = 0.5
PRECISIONS = (0.9, 0.95, 0.99)
# A category with fewer offers says nothing about calibration.
LEAST_CATEGORY_OFFERS = 100
# Offers, bool (Q,), and the models that are tried on them.
TriedModels = tuple[npt.NDArray[np.bool_], Sequence[MatchModel]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldQuality:
    """Probabilities against the truth in one world.

    Attributes:
        offer_count: Offers; in the open world each is counted twice.
        first: Reliability of the first match.
        every: Reliability of all matches of the lists.
        mean_probability: Mean probability of the first match.
        accuracy: Share of the first matches that are right.
        coverage: Target precision to coverage.
        has_match_auroc: How well offers with a match are told from those without, 0.5 to 1; NaN in
            the closed world.
        by_category: Reliability of the first match in categories with enough offers.
    """

    offer_count: int
    first: Reliability
    every: Reliability
    mean_probability: float
    accuracy: float
    coverage: Mapping[str, Coverage]
    has_match_auroc: float
    by_category: Mapping[str, Reliability]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _World:
    """Lists with what was claimed of them; N lists."""

    holds: npt.NDArray[np.bool_]  # whether the catalogue has the product, listed or not
    is_match: npt.NDArray[np.bool_]
    is_there: npt.NDArray[np.bool_]
    probabilities: Floats
    no_match: Floats
    is_taken: Mapping[float, npt.NDArray[np.bool_]]


def cross_fitted_models(
    lists: OfferLists,
    clusters: Sequence[str],
    image_weight: float,
    seed: int,
    further: Sequence[OfferLists] = (),
) -> list[TriedModels]:
    """Fits a model for each fold to the other folds, and to further lists.

    Returns:
        For each fold its offers, bool (Q,), and the model that has never seen them.

    Raises:
        ValueError: If the other folds of one cannot be fitted to.
    """
    folds = fold_numbers(clusters, seed)
    models: list[TriedModels] = []
    for fold in sorted(set(folds.tolist())):
        others = OfferLists.joined([lists.rows(folds != fold), *further])
        models.append((folds == fold, [fit_match_model(others, image_weight)]))
    return models


def evaluate_worlds(
    lists: OfferLists,
    models: Sequence[TriedModels],
    clusters: Sequence[str],
    categories: Sequence[str],
) -> dict[str, WorldQuality]:
    """Tries models on the offers that they belong to.

    Args:
        lists: Offers whose products are all in the catalogue (Q).
        models: Models with the offers that they are tried on; each offer once.
        clusters: What an offer belongs to (Q).
        categories: Category of each offer; "" where unknown (Q).

    Returns:
        The quality in the "closed" and in the "open" world.
    """
    closed = _claim([lists], models, 1.0)
    opened = _claim([lists, lists.without_matches()], models, OPEN_PRIOR)
    return {
        "closed": _measure(closed, clusters, categories),
        "open": _measure(opened, [*clusters, *clusters], [*categories, *categories]),
    }


def _claim(parts: Sequence[OfferLists], models: Sequence[TriedModels], prior: float) -> _World:
    shape = (len(parts), *parts[0].scores.shape)  # (W, Q, K)
    matches, no_match = np.zeros(shape), np.zeros(shape[:2])
    taken = {target: np.zeros(shape, dtype=np.bool_) for target in PRECISIONS}
    for number, lists in enumerate(parts):
        for chosen, fitted in models:
            rows = lists.rows(chosen)
            found = match_probabilities(rows, fitted, prior)
            matches[number, chosen], no_match[number, chosen] = found.matches, found.no_match
            for target, is_taken in taken.items():
                thresholds = match_thresholds(fitted, rows.image_weights, prior, target)
                is_taken[number, chosen] = found.matches >= thresholds
    return _World(
        holds=np.concatenate([lists.relevant_counts > 0 for lists in parts]),
        is_match=np.concatenate([lists.is_match for lists in parts]),
        is_there=np.concatenate([np.isfinite(lists.scores) for lists in parts]),
        probabilities=matches.reshape(-1, shape[-1]),
        no_match=no_match.ravel(),
        is_taken={target: each.reshape(-1, shape[-1])[:, 0] for target, each in taken.items()},
    )


def _measure(world: _World, clusters: Sequence[str], categories: Sequence[str]) -> WorldQuality:
    first, is_right = world.probabilities[:, 0], world.is_match[:, 0]
    names = np.array(clusters, dtype=object)
    rows_of = pd.Series(categories).groupby(list(categories)).indices
    holds = world.holds
    return WorldQuality(
        offer_count=len(first),
        first=measure_reliability(first, is_right, clusters),
        every=measure_reliability(
            world.probabilities[world.is_there],
            world.is_match[world.is_there],
            np.repeat(names, world.is_there.sum(axis=1)).tolist(),
        ),
        mean_probability=float(first.mean()),
        accuracy=float(is_right.mean()),
        coverage={
            f"{target:g}": measure_coverage(first, is_right, world.is_taken[target], target)
            for target in PRECISIONS
        },
        has_match_auroc=float(roc_auc_score(holds, 1 - world.no_match))
        if holds.any() and np.ptp(world.no_match) > 0 and not holds.all()
        else float("nan"),
        by_category={
            str(name): measure_reliability(first[rows], is_right[rows], names[rows].tolist())
            for name, rows in rows_of.items()
            if name and len(rows) >= LEAST_CATEGORY_OFFERS
        },
    )
