"""The image encoder: any timm model, fresh or from weights, as a module from pixels to features."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm.models import load_state_dict
from torch import nn

RGB = 3


@dataclass(frozen=True, kw_only=True)
class ImageEncoderConfig:
    """Which image encoder is built, and how its input is scaled.

    Attributes:
        name: Name of a timm model, such as "mobilenetv2_100", or "hf_hub:owner/name".
        pretrained: Whether timm loads its own weights for the name (from the hub or its cache).
        weights: Checkpoint file of the same architecture (.pth or .safetensors) to start from.
        options: Further keyword arguments of `timm.create_model`, such as `pad_type: same`.
        drop_rate: Share of features dropped before the head, 0 to below 1.
        mean: Mean per RGB channel on the scale 0 to 1; null takes the timm model's own.
        std: Standard deviation per RGB channel, above 0; null takes the timm model's own.

    Raises:
        ValueError: If a value is out of range.
    """

    name: str = "mobilenetv2_100"
    pretrained: bool = False
    weights: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    drop_rate: float = 0.0
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not self.name:
            raise ValueError("model.image.name must name a timm model")
        if not 0 <= self.drop_rate < 1:
            raise ValueError(f"model.image.drop_rate must be 0 to below 1, got {self.drop_rate}")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"model.image.std must be above 0, got {self.std}")
        if self.pretrained and self.weights:
            raise ValueError("model.image takes either pretrained or weights, not both")

    @property
    def is_pretrained(self) -> bool:
        """Whether training starts from weights that were learnt before."""
        return self.pretrained or self.weights is not None


class ImageEncoder(nn.Module):
    """A timm model that reads raw pixels: scale, mean and standard deviation are part of it.

    Args:
        backbone: Module from normalised pixels (B, 3, S, S) to features (B, F).
        mean: Mean per channel on the scale 0 to 1.
        std: Standard deviation per channel.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self, backbone: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        """Takes the timm model and keeps mean and deviation as buffers."""
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", torch.tensor(mean).view(1, RGB, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, RGB, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turns uint8 RGB pixels (B, 3, S, S), 0 to 255, into features (B, F)."""
        scaled = pixels.to(self.mean.dtype) / 255.0
        return self.backbone((scaled - self.mean) / self.std)


def build_image_encoder(config: ImageEncoderConfig, *, with_weights: bool = True) -> ImageEncoder:
    """Builds the encoder.

    Args:
        config: What to build.
        with_weights: Whether the starting weights are read; False where trained ones follow.

    Raises:
        ValueError: If timm does not know the name or an option, or the checkpoint does not fit it.
        FileNotFoundError: If the checkpoint file is missing.
    """
    options: dict[str, Any] = {"num_classes": 0, "drop_rate": config.drop_rate, **config.options}
    try:
        backbone = timm.create_model(
            config.name, pretrained=config.pretrained and with_weights, **options
        )
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"timm cannot build {config.name!r} with {options}: {error}") from error
    if config.weights and with_weights:
        read_weights(backbone, Path(config.weights))
    own = _source(backbone)
    return ImageEncoder(backbone, config.mean or own["mean"], config.std or own["std"])


def read_weights(backbone: nn.Module, path: Path) -> None:
    """Reads a checkpoint into a headless timm model; only its classifier may be left over.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If tensors are missing, unknown or of another shape.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no image weights at {path}")
    state = load_state_dict(str(path), use_ema=False, weights_only=True)
    classifier = _classifier_names(backbone)
    own = {k: v for k, v in state.items() if not any(re.match(rf"{c}\b", k) for c in classifier)}
    try:
        backbone.load_state_dict(own)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the image encoder: {error}") from error


def _source(backbone: nn.Module) -> Mapping[str, Any]:
    """What timm knows of a model: input scale, name of the classifier."""
    return cast("Mapping[str, Any]", backbone.pretrained_cfg)


def _classifier_names(backbone: nn.Module) -> tuple[str, ...]:
    names = _source(backbone).get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


@torch.no_grad()
def count_image_features(encoder: ImageEncoder, image_size_px: int) -> int:
    """Returns F, found by one run on a blank picture: timm models do not all declare it."""
    was_training = encoder.training
    encoder.eval()
    features = encoder(torch.zeros(1, RGB, image_size_px, image_size_px, dtype=torch.uint8))
    encoder.train(was_training)
    if features.ndim != 2:
        raise ValueError(f"image features must be (B, F), got {tuple(features.shape)}")
    return features.shape[1]
