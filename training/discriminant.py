"""Linear discriminant: the projection in which groups lie far apart for the spread within them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Discriminant:
    """The projection (features - mean) · directions.

    Attributes:
        mean: Mean of the features, float64 (D,).
        directions: One column per direction, the one that tells groups apart best first, float64
            (D, C); C is less than the number of groups and at most D.
    """

    mean: npt.NDArray[np.float64]
    directions: npt.NDArray[np.float64]


def fit_discriminant(
    features: npt.NDArray[np.float32], groups: npt.NDArray[np.int64], *, shrinkage: float
) -> Discriminant:
    """Fits a linear discriminant analysis.

    The directions are the generalised eigenvectors of the covariances between and within groups,
    S_b v = λ S_w v, of unit spread within groups (Fukunaga, "Introduction to Statistical Pattern
    Recognition", 1990, section 10.2). Either covariance S is shrunk to
    (1 - shrinkage) · S + shrinkage · tr(S)/D · I.

    Args:
        features: Rows of D features, (N, D).
        groups: Their groups, (N,).
        shrinkage: Share of the identity, above 0 to 1.

    Raises:
        ValueError: If there are fewer than two groups, or none has two rows.
    """
    group_count = len(np.unique(groups))
    if not 1 < group_count < len(groups):
        raise ValueError(
            "a discriminant needs rows of two groups or more, and two rows of one of them: "
            f"got {len(groups)} rows of {group_count} groups"
        )
    rows = features.astype(np.float64)
    analysis = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage).fit(rows, groups)
    count = min(group_count - 1, rows.shape[1])
    return Discriminant(mean=rows.mean(axis=0), directions=analysis.scalings_[:, :count])
