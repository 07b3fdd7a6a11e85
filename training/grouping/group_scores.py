"""Found groups against right ones: F1 per row, and precision, recall and F1 of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics.cluster import contingency_matrix, pair_confusion_matrix

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingQuality:
    """How well groups were found, over the products whose right group is known.

    Attributes:
        labelled_count: Those products; the others are looked through as if they were not there.
        true_group_count: Their right groups.
        found_group_count: The groups they were put into.
        row_f1: Mean over products of the F1 of their found group against their right one, itself
            included in both, 0 to 1; NaN without labelled products.
        pair_precision: Share of found pairs that are right; NaN when none is found.
        pair_recall: Share of right pairs that are found; NaN when there is none.
        pair_f1: Harmonic mean of both, 0 when no right pair is found; NaN when there is none.

    Source: the row F1 is the metric of Kaggle's Shopee Price Match Guarantee (2021).
    """

    labelled_count: int
    true_group_count: int
    found_group_count: int
    row_f1: float
    pair_precision: float
    pair_recall: float
    pair_f1: float


def evaluate_groups(found: Ints, actual: Sequence[str]) -> GroupingQuality | None:
    """Compares groups without listing pairs.

    Args:
        found: Number of the found group of each product, int64 (N,).
        actual: Right group of each product; "" where unknown.

    Returns:
        The quality; None when no right group is known.
    """
    labelled = np.array([bool(group) for group in actual], dtype=np.bool_)
    if not labelled.any():
        return None
    truth = pd.factorize(np.array(actual, dtype=object)[labelled])[0]
    guess = np.unique(found[labelled], return_inverse=True)[1]
    sizes, guessed_sizes = np.bincount(truth), np.bincount(guess)
    common = contingency_matrix(truth, guess, sparse=True)[truth, guess].A1
    (_, wrong), (missed, hits) = pair_confusion_matrix(truth, guess)
    return GroupingQuality(
        labelled_count=len(truth),
        true_group_count=len(sizes),
        found_group_count=len(guessed_sizes),
        row_f1=float((2 * common / (sizes[truth] + guessed_sizes[guess])).mean()),
        pair_precision=hits / (hits + wrong) if hits + wrong else float("nan"),
        pair_recall=hits / (hits + missed) if hits + missed else float("nan"),
        pair_f1=2 * hits / (2 * hits + wrong + missed) if hits + missed else float("nan"),
    )
