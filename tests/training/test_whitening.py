"""Whitening within groups, against its definition."""

import numpy as np
import pytest

from training.whitening import fit_whitening


@pytest.fixture
def rows():
    """60 rows of 5 features in 4 groups; the last feature varies most, and tells nothing."""
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(4), 15)
    features = 2 * generator.normal(size=(4, 5))[groups] + generator.normal(size=(60, 5))
    features[:, 4] = 20 * generator.normal(size=60)
    return features.astype(np.float32), groups


def shrunk(covariance, shrinkage):
    side = len(covariance)
    return (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / side * np.eye(side)


def within_covariance(features, groups):
    residuals = np.concatenate(
        [features[groups == group] - features[groups == group].mean(0) for group in set(groups)]
    )
    return residuals.T @ residuals / len(residuals)


def test_rows_are_whitened_within_groups_and_turned_to_their_principal_components(rows):
    features, groups = rows
    fitted = fit_whitening(features, groups, direction_count=9, shrinkage=0.3)
    assert fitted.directions.shape == (5, 5)
    within = shrunk(within_covariance(features.astype(np.float64), groups), 0.3)
    np.testing.assert_allclose(
        fitted.directions.T @ within @ fitted.directions, np.eye(5), atol=1e-9
    )
    projected = (features - fitted.mean) @ fitted.directions
    spread = np.cov(projected.T)
    np.testing.assert_allclose(spread, np.diag(np.diag(spread)), atol=1e-6)
    assert (np.diff(np.diag(spread)) < 0).all()
    np.testing.assert_allclose(fitted.mean, features.astype(np.float64).mean(0))


def test_the_first_directions_are_kept(rows):
    whole = fit_whitening(*rows, direction_count=5, shrinkage=0.3)
    part = fit_whitening(*rows, direction_count=2, shrinkage=0.3)
    np.testing.assert_allclose(part.directions, whole.directions[:, :2])


def test_what_varies_within_groups_counts_less(rows):
    features, groups = rows
    fitted = fit_whitening(features, groups, direction_count=5, shrinkage=0.01)

    def nearest_is_alike(vectors):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, -1)
        return (groups[cosines.argmax(1)] == groups).mean()

    before = nearest_is_alike(features - features.mean(0))
    assert nearest_is_alike((features - fitted.mean) @ fitted.directions) > before + 0.05


@pytest.mark.parametrize("groups", [[0, 1, 2], [0, 0, 0]], ids=["all single", "one group"])
def test_groups_that_tell_nothing_are_refused(groups):
    rows = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    with pytest.raises(ValueError, match="two groups or more, and unlike rows in one .* got 3"):
        fit_whitening(rows, np.array(groups), direction_count=2, shrinkage=0.5)


def test_groups_of_equal_rows_are_refused():
    rows = np.array([[1, 2], [1, 2], [3, 4], [3, 4]], dtype=np.float32)
    with pytest.raises(ValueError, match="unlike rows in one of them: got 4 rows of 2 groups"):
        fit_whitening(rows, np.array([0, 0, 1, 1]), direction_count=2, shrinkage=0.5)
