"""The whole model, built from its configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from transformers import PretrainedConfig

from training.image_encoder import (
    ImageEncoderConfig,
    build_image_encoder,
    count_image_features,
)
from training.text_encoder import (
    TextEncoderConfig,
    build_text_encoder,
    load_pretrained_text_encoder,
)
from training.towers import FusedEncoder, Fusion, HeadConfig, ImageTower, TextTower


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The model.

    Attributes:
        image: Image encoder.
        text: Text encoder.
        head: Projection of either tower.
        embedding_dim: Length of one tower's embedding; the fused one is twice as long.

    Raises:
        ValueError: If a value is out of range.
    """

    image: ImageEncoderConfig = field(default_factory=ImageEncoderConfig)
    text: TextEncoderConfig = field(default_factory=TextEncoderConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    embedding_dim: int = 256

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not 8 <= self.embedding_dim <= 4096:
            raise ValueError(f"model.embedding_dim must be 8 to 4096, got {self.embedding_dim}")


def compile_encoders(model: FusedEncoder, backend: str = "inductor") -> None:
    """Lets torch.compile translate both encoders at their first call; weights keep their names.

    Args:
        model: The towers.
        backend: Who translates; "inductor" needs a C++ compiler, or Triton on a GPU.
    """
    model.image_tower.encoder.compile(backend=backend)
    model.text_tower.encoder.compile(backend=backend)


def build_model(
    config: ModelConfig,
    *,
    image_size_px: int,
    architecture: PretrainedConfig,
    with_weights: bool = True,
) -> FusedEncoder:
    """Builds both towers and their fusion, with even weights.

    Args:
        config: What to build.
        image_size_px: Side of the pictures it will read.
        architecture: The text encoder's, from `scratch_architecture` or a saved run.
        with_weights: Whether pretrained weights are read; False where trained ones follow.

    Raises:
        ValueError: If an encoder cannot be built from its configuration.
        OSError: If pretrained weights are missing.
    """
    image = build_image_encoder(config.image, with_weights=with_weights)
    if config.text.name and with_weights:
        text = load_pretrained_text_encoder(config.text.name)
    else:
        text = build_text_encoder(architecture)
    image_features = count_image_features(image, image_size_px)
    return FusedEncoder(
        ImageTower(image, image_features, config.embedding_dim, config.head),
        TextTower(text, architecture.hidden_size, config.embedding_dim, config.head),
        Fusion(),
    )
