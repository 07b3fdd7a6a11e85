"""The image encoder: names, options, weights from a file."""

import pytest
import timm
import torch

from training.image_encoder import (
    ImageEncoderConfig,
    build_image_encoder,
    count_image_features,
    read_weights,
)

NAME = "test_efficientnet"


def test_weights_of_a_classifier_are_read_without_its_last_layer(tmp_path):
    torch.manual_seed(0)
    source = timm.create_model(NAME, num_classes=10)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    config = ImageEncoderConfig(name=NAME, weights=str(tmp_path / "weights.pth"))
    encoder = build_image_encoder(config)
    own = encoder.backbone.state_dict()
    assert own
    assert all(torch.equal(source.state_dict()[key], value) for key, value in own.items())


def test_weights_are_left_unread_when_trained_ones_follow():
    config = ImageEncoderConfig(name=NAME, weights="/does/not/exist.pth")
    build_image_encoder(config, with_weights=False)
    with pytest.raises(FileNotFoundError, match=r"no image weights at .*exist\.pth"):
        build_image_encoder(config)


def test_weights_of_another_architecture_are_refused(tmp_path):
    other = timm.create_model("test_resnet", num_classes=10)
    torch.save(other.state_dict(), tmp_path / "weights.pth")
    backbone = timm.create_model(NAME, num_classes=0)
    with pytest.raises(ValueError, match="does not fit the image encoder"):
        read_weights(backbone, tmp_path / "weights.pth")


def test_options_reach_the_model():
    plain = build_image_encoder(ImageEncoderConfig(name=NAME))
    same = build_image_encoder(ImageEncoderConfig(name=NAME, options={"pad_type": "same"}))
    assert plain.backbone.conv_stem.padding != same.backbone.conv_stem.padding


@pytest.mark.parametrize(
    "config",
    [
        ImageEncoderConfig(name="no_such_model"),
        ImageEncoderConfig(name=NAME, options={"no_such_option": 1}),
    ],
)
def test_what_timm_does_not_know_is_refused_by_name(config):
    with pytest.raises(ValueError, match="timm cannot build"):
        build_image_encoder(config)


def test_given_mean_and_deviation_replace_the_models_own():
    config = ImageEncoderConfig(name=NAME, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))
    encoder = build_image_encoder(config)
    assert encoder.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert encoder.std.flatten().tolist() == [1.0, 2.0, 3.0]


def test_features_are_counted_without_touching_the_mode():
    encoder = build_image_encoder(ImageEncoderConfig(name=NAME)).train()
    assert count_image_features(encoder, 32) == 256
    assert encoder.training


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"drop_rate": 1.0},
        {"std": (0.5, 0.0, 0.5)},
        {"pretrained": True, "weights": "x.pth"},
    ],
)
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match=r"model\.image"):
        ImageEncoderConfig(**values)
