"""Whitening within groups: the projection in which what varies within groups counts least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from sklearn.covariance import empirical_covariance, shrunk_covariance
from sklearn.decomposition import PCA


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Whitening:
    """The projection (features - mean) · directions.

    Attributes:
        mean: Mean of the features, float64 (D,).
        directions: One column per direction, the one along which the rows vary most first, float64
            (D, C).
    """

    mean: npt.NDArray[np.float64]
    directions: npt.NDArray[np.float64]


def fit_whitening(
    features: npt.NDArray[np.float32],
    groups: npt.NDArray[np.int64],
    *,
    direction_count: int,
    shrinkage: float,
) -> Whitening:
    """Fits within-class covariance normalisation, then principal components.

    With the covariance S within groups, shrunk to (1 - shrinkage) · S + shrinkage · tr(S)/D · I,
    rows are whitened by its inverse square root (Hatch et al., "Within-class covariance
    normalization for SVM-based speaker recognition", Interspeech 2006); of that the principal
    components are kept. A linear discriminant keeps fewer of the same space, one less than there
    are groups: too few where a group has several looks.

    Args:
        features: Rows of D features, (N, D).
        groups: Their groups, (N,).
        direction_count: Most directions to keep, 1 or more; there are at most min(N, D).
        shrinkage: Share of the identity, above 0 to 1.

    Raises:
        ValueError: If there are fewer than two groups, or no group varies.
    """
    rows = features.astype(np.float64)
    names, numbers, counts = np.unique(groups, return_inverse=True, return_counts=True)
    means = np.zeros((len(names), rows.shape[1]))
    np.add.at(means, numbers, rows)
    within = empirical_covariance(rows - (means / counts[:, None])[numbers], assume_centered=True)
    if len(names) < 2 or not np.trace(within) > 0:
        raise ValueError(
            "whitening needs rows of two groups or more, and unlike rows in one of them: "
            f"got {len(rows)} rows of {len(names)} groups"
        )
    spreads, axes = eigh(shrunk_covariance(within, shrinkage))
    whitener = axes / np.sqrt(spreads)
    mean = rows.mean(axis=0)
    kept = PCA(min(direction_count, *rows.shape), svd_solver="covariance_eigh")
    kept.fit((rows - mean) @ whitener)
    return Whitening(mean=mean, directions=whitener @ kept.components_.T)
