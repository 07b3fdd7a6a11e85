"""The linear discriminant, against its definition."""

import numpy as np
import pytest

from training.discriminant import fit_discriminant


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


def test_directions_solve_the_eigenproblem(rows):
    features, groups = rows
    shrinkage = 0.3
    fitted = fit_discriminant(features, groups, shrinkage=shrinkage)
    assert fitted.directions.shape == (5, 3)
    features = features.astype(np.float64)
    means = np.stack([features[groups == group].mean(0) for group in range(4)])
    within = shrunk(within_covariance(features, groups), shrinkage)
    between = shrunk(np.cov(means.T, bias=True), shrinkage)
    strengths = []
    for direction in fitted.directions.T:
        assert direction @ within @ direction == pytest.approx(1)
        strength = direction @ between @ direction
        np.testing.assert_allclose(between @ direction, strength * (within @ direction), atol=1e-9)
        strengths.append(strength)
    assert strengths == sorted(strengths, reverse=True)
    np.testing.assert_allclose(fitted.mean, features.mean(0))


def test_what_varies_within_groups_counts_less(rows):
    features, groups = rows
    fitted = fit_discriminant(features, groups, shrinkage=0.1)

    def nearest_is_alike(vectors):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, -1)
        return (groups[cosines.argmax(1)] == groups).mean()

    before = nearest_is_alike(features - features.mean(0))
    assert nearest_is_alike((features - fitted.mean) @ fitted.directions) > before + 0.1


@pytest.mark.parametrize("groups", [[0, 1, 2], [0, 0, 0]], ids=["all single", "one group"])
def test_groups_that_tell_nothing_are_refused(groups):
    rows = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    with pytest.raises(ValueError, match="two groups or more, and two rows of one of them: got 3"):
        fit_discriminant(rows, np.array(groups), shrinkage=0.5)
