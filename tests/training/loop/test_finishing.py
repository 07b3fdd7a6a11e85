"""Finishing: the start mixed in, and a projection fitted to what the backbone then gives."""

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from twinshelf.training.data.data_module import Batch
from twinshelf.training.loop.finishing import finish_image_tower, fit_whitening, mix_in
from twinshelf.training.loop.loop_config import FinishingConfig
from twinshelf.training.model.encoder import Tower


class MeanColour(nn.Module):
    """Mean of each channel, through a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 6)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.linear(pixels.float().mean((2, 3)) / 255)


@pytest.fixture
def tower() -> Tower:
    torch.manual_seed(0)
    return Tower(MeanColour(), 6, 8)


@pytest.fixture
def photos() -> list[Batch]:
    """Two batches of three groups; every fourth row has no photo."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for _ in range(2):
        pixels = torch.randint(0, 256, (12, 3, 4, 4), generator=generator, dtype=torch.uint8)
        has_image = torch.arange(12) % 4 != 3
        pixels[~has_image] = 0
        batches.append(
            Batch(
                pixels=pixels,
                has_image=has_image,
                input_ids=torch.zeros(12, 1, dtype=torch.int64),
                attention_mask=torch.zeros(12, 1, dtype=torch.int64),
                has_text=torch.zeros(12, dtype=torch.bool),
                labels=torch.arange(12) % 3,
            )
        )
    return batches


def test_by_default_nothing_is_changed(tower: Tower, photos: list[Batch]) -> None:
    before = copy.deepcopy(tower.state_dict())
    start = {name: value + 1 for name, value in tower.backbone.state_dict().items()}
    finish_image_tower(tower, FinishingConfig(), start=start, photos=photos)
    for name, value in tower.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_projection_fits_the_mixed_backbone_and_the_rows_with_photos(
    tower: Tower, photos: list[Batch]
) -> None:
    trained = copy.deepcopy(tower.backbone.state_dict())
    start = {name: torch.zeros_like(value) for name, value in trained.items()}
    config = FinishingConfig(image_start_share=0.25, image_head_shrinkage=0.2)
    finish_image_tower(tower, config, start=start, photos=photos)
    torch.testing.assert_close(
        tower.backbone.state_dict()["linear.weight"], 0.75 * trained["linear.weight"]
    )

    pixels = torch.cat([batch.pixels[batch.has_image] for batch in photos])
    labels = torch.cat([batch.labels[batch.has_image] for batch in photos])
    with torch.inference_mode():
        features, embeddings = tower.backbone(pixels).double().numpy(), tower(pixels).numpy()
    directions = fit_whitening(features, labels.numpy(), direction_count=8, shrinkage=0.2)
    expected = (features - features.mean(0)) @ directions
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    # Features of six values have six directions.
    np.testing.assert_allclose(embeddings[:, :6], expected, atol=1e-4)
    assert not embeddings[:, 6:].any()


def test_a_backbone_that_started_at_random_is_not_mixed(tower: Tower, photos: list[Batch]) -> None:
    before = copy.deepcopy(tower.backbone.state_dict())
    finish_image_tower(tower, FinishingConfig(image_start_share=0.5), start=None, photos=photos)
    for name, value in tower.backbone.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_too_few_photos_leave_the_projection_as_it_was_learnt(
    tower: Tower, photos: list[Batch], caplog: pytest.LogCaptureFixture
) -> None:
    before = copy.deepcopy(tower.state_dict())
    single = photos[0]._replace(labels=torch.arange(12))
    none = photos[0]._replace(has_image=torch.zeros(12, dtype=torch.bool))
    for few, reason in ((single, "got 9 rows of 9 groups"), (none, "no training row has a photo")):
        config = FinishingConfig(image_head_shrinkage=0.2)
        finish_image_tower(tower, config, start=None, photos=[few])
        assert caplog.messages[-1].startswith("the projection of photos stays as it was learnt: ")
        assert caplog.messages[-1].endswith(reason)
    assert all(torch.equal(value, before[name]) for name, value in tower.state_dict().items())


def test_the_start_is_mixed_into_weights_and_statistics_but_not_into_counters() -> None:
    module, start = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2).state_dict()
    module.weight.data = torch.tensor([3.0, 5.0])
    module.running_mean = torch.tensor([1.0, -1.0])
    module.num_batches_tracked = torch.tensor(9)
    mix_in(module, start, 0.25)
    assert module.weight.tolist() == [2.5, 4.0]
    assert module.running_mean.tolist() == [0.75, -0.75]
    assert module.num_batches_tracked == 9


@pytest.fixture
def rows() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """60 rows of 5 features in 4 groups; the last feature varies most, and tells nothing."""
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(4), 15)
    features = 2 * generator.normal(size=(4, 5))[groups] + generator.normal(size=(60, 5))
    features[:, 4] = 20 * generator.normal(size=60)
    return features, groups


def shrunk(covariance: npt.NDArray[np.float64], shrinkage: float) -> npt.NDArray[np.float64]:
    side = len(covariance)
    return (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / side * np.eye(side)


def within_covariance(
    features: npt.NDArray[np.float64], groups: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    residuals = np.concatenate(
        [features[groups == group] - features[groups == group].mean(0) for group in set(groups)]
    )
    return residuals.T @ residuals / len(residuals)


def test_rows_are_whitened_within_groups_and_turned_to_their_principal_components(
    rows: tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]],
) -> None:
    features, groups = rows
    directions = fit_whitening(features, groups, direction_count=9, shrinkage=0.3)
    assert directions.shape == (5, 5)
    within = shrunk(within_covariance(features, groups), 0.3)
    np.testing.assert_allclose(directions.T @ within @ directions, np.eye(5), atol=1e-9)
    projected = (features - features.mean(0)) @ directions
    spread = np.cov(projected.T)
    np.testing.assert_allclose(spread, np.diag(np.diag(spread)), atol=1e-6)
    assert (np.diff(np.diag(spread)) < 0).all()


def test_the_first_directions_are_kept(
    rows: tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]],
) -> None:
    whole = fit_whitening(*rows, direction_count=5, shrinkage=0.3)
    part = fit_whitening(*rows, direction_count=2, shrinkage=0.3)
    np.testing.assert_allclose(part, whole[:, :2])


def test_what_varies_within_groups_counts_less(
    rows: tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]],
) -> None:
    features, groups = rows
    directions = fit_whitening(features, groups, direction_count=5, shrinkage=0.01)

    def nearest_is_alike(vectors: npt.NDArray[Any]) -> np.float64:
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, -1)
        return (groups[cosines.argmax(1)] == groups).mean()

    before = nearest_is_alike(features - features.mean(0))
    assert nearest_is_alike((features - features.mean(0)) @ directions) > before + 0.05


@pytest.mark.parametrize("groups", [[0, 1, 2], [0, 0, 0]], ids=["all single", "one group"])
def test_groups_that_tell_nothing_are_refused(groups: list[int]) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 2))
    with pytest.raises(ValueError, match="two groups or more, and unlike rows in one .* got 3"):
        fit_whitening(rows, np.array(groups), direction_count=2, shrinkage=0.5)


def test_groups_of_equal_rows_are_refused() -> None:
    rows = np.array([[1, 2], [1, 2], [3, 4], [3, 4]], dtype=np.float64)
    with pytest.raises(ValueError, match="unlike rows in one of them: got 4 rows of 2 groups"):
        fit_whitening(rows, np.array([0, 0, 1, 1]), direction_count=2, shrinkage=0.5)
