"""The image backbone: any timm model, fresh or from weights, from raw pixels to features."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm.models import load_state_dict
from torch import nn

from twinshelf.training.model.model_config import ImageBackboneConfig

RGB = 3


class ImageBackbone(nn.Module):
    """A timm model that reads raw pixels: scale, mean and standard deviation are part of it.

    Args:
        network: Module from normalised pixels (B, 3, S, S) to features (B, F).
        mean: Mean per channel on the scale 0 to 1.
        std: Standard deviation per channel.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, RGB, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, RGB, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turns uint8 RGB pixels (B, 3, S, S), 0 to 255, into features (B, F)."""
        scaled = pixels.to(self.mean.dtype) / 255.0
        return self.network((scaled - self.mean) / self.std)


def build_image_backbone(
    config: ImageBackboneConfig, *, with_weights: bool = True
) -> ImageBackbone:
    """Builds the backbone.

    Args:
        config: What to build.
        with_weights: Whether the starting weights are read; False where trained ones follow.

    Raises:
        ValueError: If timm does not know the name or an option, or the checkpoint does not fit it.
        FileNotFoundError: If the checkpoint file is missing.
    """
    options: dict[str, Any] = {"num_classes": 0, "drop_rate": config.drop_rate, **config.options}
    try:
        network = timm.create_model(
            config.name, pretrained=config.pretrained and with_weights, **options
        )
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"timm cannot build {config.name!r} with {options}: {error}") from error
    if config.weights and with_weights:
        read_weights(network, Path(config.weights))
    own = _source(network)
    return ImageBackbone(network, config.mean or own["mean"], config.std or own["std"])


def read_weights(network: nn.Module, path: Path) -> None:
    """Reads a checkpoint into a headless timm model; only its classifier may be left over.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If tensors are missing, unknown or of another shape.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no image weights at {path}")
    state = load_state_dict(str(path), use_ema=False, weights_only=True)
    names = _source(network).get("classifier") or ()
    classifier = (names,) if isinstance(names, str) else tuple(names)
    own = {k: v for k, v in state.items() if not any(re.match(rf"{c}\b", k) for c in classifier)}
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the image backbone: {error}") from error


def _source(network: nn.Module) -> Mapping[str, Any]:
    """What timm knows of a model: input scale, name of the classifier."""
    return cast("Mapping[str, Any]", network.pretrained_cfg)


@torch.no_grad()
def count_image_features(backbone: ImageBackbone, image_size_px: int) -> int:
    """Returns F, found by one run on a blank picture: timm models do not all declare it."""
    was_training = backbone.training
    backbone.eval()
    features = backbone(torch.zeros(1, RGB, image_size_px, image_size_px, dtype=torch.uint8))
    backbone.train(was_training)
    if features.ndim != 2:
        raise ValueError(f"image features must be (B, F), got {tuple(features.shape)}")
    return features.shape[1]
