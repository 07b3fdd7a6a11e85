"""Finishing: the start mixed in, and a projection fitted to what the encoder then gives."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.small_catalogue import small_config, write_small_catalogue
from training.checkpoint import load_encoder
from training.data_module import Batch
from training.finishing import FinishingConfig, finish_image_tower
from training.run import train
from training.towers import ImageTower
from training.whitening import fit_whitening


class MeanColour(nn.Module):
    """Mean of each channel, through a matrix."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 6)

    def forward(self, pixels):
        return self.linear(pixels.float().mean((2, 3)) / 255)


@pytest.fixture
def tower():
    torch.manual_seed(0)
    return ImageTower(MeanColour(), 6, 8)


@pytest.fixture
def photos():
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


def test_by_default_nothing_is_changed(tower, photos):
    before = copy.deepcopy(tower.state_dict())
    start = {name: value + 1 for name, value in tower.encoder.state_dict().items()}
    finish_image_tower(tower, FinishingConfig(), start=start, photos=photos)
    for name, value in tower.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_projection_fits_the_mixed_encoder_and_the_rows_with_photos(tower, photos):
    trained = copy.deepcopy(tower.encoder.state_dict())
    start = {name: torch.zeros_like(value) for name, value in trained.items()}
    config = FinishingConfig(image_start_share=0.25, image_head_shrinkage=0.2)
    finish_image_tower(tower, config, start=start, photos=photos)
    torch.testing.assert_close(tower.encoder.linear.weight, 0.75 * trained["linear.weight"])

    pixels = torch.cat([batch.pixels[batch.has_image] for batch in photos])
    labels = torch.cat([batch.labels[batch.has_image] for batch in photos])
    with torch.inference_mode():
        features, embeddings = tower.encoder(pixels).numpy(), tower(pixels).numpy()
    fitted = fit_whitening(features, labels.numpy(), direction_count=8, shrinkage=0.2)
    expected = (features - fitted.mean) @ fitted.directions
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    # Features of six values have six directions.
    np.testing.assert_allclose(embeddings[:, :6], expected, atol=1e-4)
    assert not embeddings[:, 6:].any()


def test_an_encoder_that_started_at_random_is_not_mixed(tower, photos):
    before = tower.encoder.linear.weight.clone()
    finish_image_tower(tower, FinishingConfig(image_start_share=0.5), start=None, photos=photos)
    assert torch.equal(tower.encoder.linear.weight, before)


def test_too_few_photos_are_refused(tower, photos):
    config = FinishingConfig(image_head_shrinkage=0.2)
    single = photos[0]._replace(labels=torch.arange(12))
    with pytest.raises(ValueError, match=r"finishing\.image_head_shrinkage: .* got 9 rows of 9"):
        finish_image_tower(tower, config, start=None, photos=[single])
    none = photos[0]._replace(has_image=torch.zeros(12, dtype=torch.bool))
    with pytest.raises(ValueError, match="no training row has a photo"):
        finish_image_tower(tower, config, start=None, photos=[none])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image_start_share": 1.0}, r"image_start_share must be 0 to below 1, got 1\.0"),
        ({"image_head_shrinkage": 0.0}, r"image_head_shrinkage must be above 0 to 1, or null"),
        ({"image_head_shrinkage": 1.5}, r"image_head_shrinkage must be above 0 to 1, or null"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        FinishingConfig(**values)


def test_a_run_is_saved_finished(tmp_path):
    write_small_catalogue(tmp_path / "data")
    finishing = "--finishing.image_head_shrinkage=0.3"
    config = small_config(tmp_path, finishing)
    train(config)
    best = torch.load(tmp_path / "run" / "best.ckpt")["state_dict"]
    saved = load_encoder(tmp_path / "run").model.state_dict()
    for name, value in saved.items():
        if name.startswith("image_tower.encoder"):
            assert torch.equal(value, best[f"model.{name}"]), name
    weight = saved["image_tower.head.0.weight"]
    assert not torch.equal(weight, best["model.image_tower.head.0.weight"])


def test_a_hidden_layer_and_a_fitted_projection_exclude_each_other(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_info:
        small_config(tmp_path, "--finishing.image_head_shrinkage=0.3", "--model.head.hidden_dim=8")
    assert exit_info.value.code == 2
    assert "needs model.head.hidden_dim 0, got 8" in capsys.readouterr().err
