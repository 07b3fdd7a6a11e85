"""Categories by vote of the nearest gallery products, and their weighted F1."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.retrieval import Candidates

# Wu et al. 2018, arXiv 1805.01978, section 3.4.
TEMPERATURE = 0.07


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryQuality:
    """How well categories were predicted.

    Attributes:
        neighbour_count: Candidates that voted, at most.
        query_count: Queries with a known category.
        unseen_count: Those whose category no gallery product has: they count as wrong.
        accuracy: Share predicted right, 0 to 1; NaN without queries.
        weighted_f1: F1 per category, weighted by its queries, 0 to 1; NaN without queries.
    """

    neighbour_count: int
    query_count: int
    unseen_count: int
    accuracy: float
    weighted_f1: float


def vote_weights(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Returns the weight of each candidate's vote, exp((score - best score) / 0.07), 0 to 1.

    The weights fall off steeply, so that of many candidates the alike ones still decide.

    Args:
        scores: Cosines of the candidates of each query, (Q, K), -inf where there is none.
    """
    cosines = scores.astype(np.float64)
    best = cosines.max(axis=1, keepdims=True, initial=-1.0)
    return np.exp((cosines - best) / TEMPERATURE)


def vote(candidates: Candidates, categories: Sequence[str], neighbour_count: int) -> list[str]:
    """Returns the category with the greatest sum of weights among the first candidates.

    Weights are those of `vote_weights`; of equal sums the one that came first wins. Without a
    candidate of known category the answer is "".

    Args:
        candidates: Candidates of each query, best first.
        categories: Category of each gallery product; "" has no vote.
        neighbour_count: Candidates that vote, 1 or more.
    """
    if neighbour_count < 1:
        raise ValueError(f"neighbour_count must be 1 or more, got {neighbour_count}")
    answers = []
    items = candidates.items[:, :neighbour_count].tolist()
    weights = vote_weights(candidates.scores[:, :neighbour_count]).tolist()
    for row_items, row_weights in zip(items, weights, strict=True):
        sums: dict[str, float] = defaultdict(float)
        for item, weight in zip(row_items, row_weights, strict=True):
            if item >= 0 and categories[item]:
                sums[categories[item]] += weight
        answers.append(max(sums, key=sums.__getitem__) if sums else "")
    return answers


def weighted_f1(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """Returns the F1 of each actual category, weighted by how many queries it has, 0 to 1.

    NaN without queries. Categories that are only predicted have no weight, as in scikit-learn.
    """
    if len(actual) != len(predicted):
        raise ValueError(f"{len(actual)} actual and {len(predicted)} predicted categories")
    names, codes = np.unique([*actual, *predicted], return_inverse=True)
    truth, guess = codes[: len(actual)], codes[len(actual) :]
    actual_counts = np.bincount(truth, minlength=len(names))
    predicted_counts = np.bincount(guess, minlength=len(names))
    hits = np.bincount(truth[truth == guess], minlength=len(names))
    if not len(actual):
        return float("nan")
    f1 = 2 * hits / np.maximum(actual_counts + predicted_counts, 1)
    return float((f1 * actual_counts).sum() / actual_counts.sum())


def judge_categories(
    actual: Sequence[str],
    candidates: Candidates,
    gallery_categories: Sequence[str],
    neighbour_count: int,
) -> CategoryQuality:
    """Predicts the category of each query that has one, and compares.

    Args:
        actual: Category of each query; "" leaves it out.
        candidates: Candidates of each query.
        gallery_categories: Category of each gallery product.
        neighbour_count: Candidates that vote.
    """
    predicted = vote(candidates, gallery_categories, neighbour_count)
    known = [(truth, guess) for truth, guess in zip(actual, predicted, strict=True) if truth]
    truths, guesses = [pair[0] for pair in known], [pair[1] for pair in known]
    seen = set(gallery_categories)
    return CategoryQuality(
        neighbour_count=neighbour_count,
        query_count=len(known),
        unseen_count=sum(truth not in seen for truth in truths),
        accuracy=sum(a == b for a, b in known) / len(known) if known else float("nan"),
        weighted_f1=weighted_f1(truths, guesses),
    )
