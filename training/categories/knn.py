"""Labels by vote of the nearest gallery products, the more alike ones with more weight."""

from __future__ import annotations

import numpy as np

from twinshelf.training.categories.category_labels import Predictions
from twinshelf.training.evaluation.category_vote import Ints, Votes, weighted_f1
from twinshelf.training.retrieval.exact_search import Candidates

MOST_NEIGHBOURS = 20


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


def score_neighbour_counts(candidates: Candidates, numbers: Ints, actual: Ints) -> dict[int, float]:
    """Returns the weighted F1, 0 to 1, of each K from 1 to `MOST_NEIGHBOURS`.

    Args:
        candidates: Nearest gallery products of each tuning query (Q, K).
        numbers: Label number of each gallery product (G,).
        actual: Right label number of each tuning query, int64 (Q,).
    """
    votes = Votes.of(candidates, numbers)
    ks = range(1, MOST_NEIGHBOURS + 1)
    return {k: weighted_f1(actual, votes.winners(k)) for k in ks}
