"""Categories by vote of the nearest gallery products, and their weighted F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import f1_score

from twinshelf.training.retrieval.exact_search import Candidates

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

UNKNOWN = -1
NEIGHBOUR_COUNT = 10
# Wu et al. 2018, arXiv 1805.01978, section 3.4.
TEMPERATURE = 0.07


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Votes:
    """The candidates of each query as voters.

    Attributes:
        labels: Label number of each candidate, best first, int64 (Q, K); `UNKNOWN` has no vote.
        weights: Weight of each vote, float64 (Q, K): exp((score - best score) / 0.07), so that of
            many candidates the alike ones still decide; 0 without a vote.
    """

    labels: Ints
    weights: Floats

    @classmethod
    def of(cls, candidates: Candidates, numbers: Ints) -> Votes:
        """Lets candidates vote.

        Args:
            candidates: Candidates of each query, best first (Q, K).
            numbers: Label number of each gallery product, int64 (G,).
        """
        items = candidates.items
        labels = np.where(items >= 0, numbers[items], UNKNOWN)  # (Q, K)
        scores = np.where(labels >= 0, candidates.scores.astype(np.float64), -np.inf)
        best = scores.max(axis=1, keepdims=True, initial=-1.0)
        return cls(labels=labels, weights=np.exp((scores - best) / TEMPERATURE))

    def sums(self, k: int) -> Floats:
        """Returns the sum of votes for the label of each of the first k, (Q, k); -1 if unknown.

        There is no table of all labels, of which there can be very many.
        """
        labels = self.labels[:, :k]
        same = labels[:, :, None] == labels[:, None, :]  # (Q, k, k)
        return np.where(labels >= 0, np.einsum("qij,qj->qi", same, self.weights[:, :k]), -1.0)

    def winners(self, k: int) -> Ints:
        """Returns the label with the greatest sum of votes among the first k, int64 (Q,).

        Of equal sums the one that came first wins; `UNKNOWN` without a vote.
        """
        # Rounded, so that the order of summation decides no tie.
        place = np.argmax(np.round(self.sums(k), 9), axis=1)
        return self.labels[np.arange(len(self.labels)), place]


def weighted_f1(actual: Sequence[str] | Ints, predicted: Sequence[str] | Ints) -> float:
    """Returns the F1 of each actual label, weighted by how many queries it has, 0 to 1.

    NaN without queries. Labels that are only predicted have no weight.
    """
    if not len(actual):
        return float("nan")
    return float(f1_score(actual, predicted, average="weighted", zero_division=0))


def vote_f1(
    actual: Sequence[str], candidates: Candidates, gallery_categories: Sequence[str]
) -> float:
    """Returns the weighted F1 of categories by `NEIGHBOUR_COUNT` votes; NaN where none is known.

    Args:
        actual: Category of each query; "" leaves it out.
        candidates: Candidates of each query.
        gallery_categories: Category of each gallery product; "" has no vote.
    """
    names = pd.Index(sorted({*actual, *gallery_categories} - {""}))
    ours, theirs = (names.get_indexer(pd.Index(each)) for each in (actual, gallery_categories))
    predicted = Votes.of(candidates, theirs).winners(NEIGHBOUR_COUNT)
    return weighted_f1(ours[ours >= 0], predicted[ours >= 0]) if any(gallery_categories) else np.nan
