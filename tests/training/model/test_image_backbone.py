"""The image backbone: names, options, weights from a file."""

from pathlib import Path

import pytest
import timm
import torch

from twinshelf.training.model.image_backbone import (
    build_image_backbone,
    count_image_features,
    read_weights,
)
from twinshelf.training.model.model_config import ImageBackboneConfig

NAME = "test_efficientnet"


def test_weights_of_a_classifier_are_read_without_its_last_layer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = timm.create_model(NAME, num_classes=10)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    config = ImageBackboneConfig(name=NAME, weights=str(tmp_path / "weights.pth"))
    backbone = build_image_backbone(config)
    own = backbone.network.state_dict()
    assert own
    assert all(torch.equal(source.state_dict()[key], value) for key, value in own.items())


def test_weights_are_left_unread_when_trained_ones_follow() -> None:
    config = ImageBackboneConfig(name=NAME, weights="/does/not/exist.pth")
    build_image_backbone(config, with_weights=False)
    with pytest.raises(FileNotFoundError, match=r"no image weights at .*exist\.pth"):
        build_image_backbone(config)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    other = timm.create_model("test_resnet", num_classes=10)
    torch.save(other.state_dict(), tmp_path / "weights.pth")
    network = timm.create_model(NAME, num_classes=0)
    with pytest.raises(ValueError, match="does not fit the image backbone"):
        read_weights(network, tmp_path / "weights.pth")


def test_options_reach_the_model() -> None:
    plain = build_image_backbone(ImageBackboneConfig(name=NAME))
    same = build_image_backbone(ImageBackboneConfig(name=NAME, options={"pad_type": "same"}))
    assert str(plain.network) != str(same.network)


@pytest.mark.parametrize(
    "config",
    [
        ImageBackboneConfig(name="no_such_model"),
        ImageBackboneConfig(name=NAME, options={"no_such_option": 1}),
    ],
)
def test_what_timm_does_not_know_is_refused_by_name(config: ImageBackboneConfig) -> None:
    with pytest.raises(ValueError, match="timm cannot build"):
        build_image_backbone(config)


def test_given_mean_and_deviation_replace_the_models_own() -> None:
    config = ImageBackboneConfig(name=NAME, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))
    backbone = build_image_backbone(config)
    assert backbone.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert backbone.std.flatten().tolist() == [1.0, 2.0, 3.0]


def test_features_are_counted_without_touching_the_mode() -> None:
    backbone = build_image_backbone(ImageBackboneConfig(name=NAME)).train()
    assert count_image_features(backbone, 32) == 256
    assert backbone.training
