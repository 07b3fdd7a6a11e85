"""Labels by vote of the nearest gallery products, the more alike ones with more weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinshelf.training.categories.category_config import MOST_NEIGHBOURS
from twinshelf.training.categories.category_labels import Labels, Predictions, score_predictions
from twinshelf.training.evaluation.category_vote import Ints, Votes
from twinshelf.training.retrieval.exact_search import Candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourChoice:
    """How many neighbours vote, and how that was found.

    Attributes:
        neighbour_count: K, 1 or more.
        f1_by_k: K to the weighted F1 on the tuning queries, 0 to 1.
    """

    neighbour_count: int
    f1_by_k: dict[int, float]


def vote(candidates: Candidates, numbers: Ints, neighbour_count: int) -> Predictions:
    """Gives each query the label with the greatest sum of weights among its first neighbours.

    Weights are those of `Votes`; a query without neighbours has no label. The margin is of a vote
    of the first `MOST_NEIGHBOURS`, however few of them choose the label: the label's share less the
    best other one's, 0 where it is behind. So one neighbour has a margin too, and margins of
    different K can be compared.

    Args:
        candidates: Nearest gallery products of each query, best first (Q, K).
        numbers: Label number of each gallery product, int64 (G,); `UNKNOWN` has no vote.
        neighbour_count: Neighbours that vote, 1 or more.

    Raises:
        ValueError: If no neighbour votes.
    """
    votes = Votes.of(candidates, numbers)
    answers = votes.winners(neighbour_count)
    reach = slice(0, MOST_NEIGHBOURS)
    sums = votes.sums(MOST_NEIGHBOURS)
    is_own = votes.labels[:, reach] == answers[:, None]
    own = np.where(is_own, sums, 0).max(axis=1)
    others = np.where(is_own, 0, np.maximum(sums, 0)).max(axis=1)
    total = votes.weights[:, reach].sum(axis=1)
    margins = np.where(total > 0, (own - others) / np.maximum(total, 1e-12), 0.0)
    return Predictions(numbers=answers, margins=np.clip(margins, 0.0, 1.0))


def tune_neighbour_count(
    candidates: Candidates,
    numbers: Ints,
    actual: Sequence[str],
    labels: Labels,
    *,
    most: int = MOST_NEIGHBOURS,
) -> NeighbourChoice:
    """Finds the K from 1 to `most` with the highest weighted F1; of equals the smallest.

    Args:
        candidates: Nearest gallery products of each tuning query (Q, K).
        numbers: Label number of each gallery product (G,).
        actual: Right label of each tuning query.
        labels: The labels.
        most: Largest K to try, 1 or more.

    Raises:
        ValueError: If there are no queries to tune on.
    """
    if not len(actual):
        raise ValueError("K needs queries of known label to be tuned on, got none")
    f1_by_k = {
        k: score_predictions(actual, vote(candidates, numbers, k), labels)
        for k in range(1, most + 1)
    }
    best = max(f1_by_k, key=lambda k: (round(f1_by_k[k], 9), -k))
    return NeighbourChoice(neighbour_count=best, f1_by_k=f1_by_k)
