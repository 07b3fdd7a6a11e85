"""What is told of the model: its backbones, heads and embedding. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any


@dataclass(frozen=True, kw_only=True)
class ImageBackboneConfig:
    """Which image backbone is built, and how its input is scaled.

    Attributes:
        name: Name of a timm model, such as "mobilenetv2_100", or "hf_hub:owner/name".
        pretrained: Whether timm loads its own weights for the name (from the hub or its cache).
        weights: Checkpoint file of the same architecture (.pth or .safetensors) to start from.
        options: Further keyword arguments of `timm.create_model`, such as `pad_type: same`.
        drop_rate: Share of features dropped before the head, 0 to below 1.
        mean: Mean per RGB channel on the scale 0 to 1; null takes the timm model's own.
        std: Standard deviation per RGB channel, above 0; null takes the timm model's own.

    Raises:
        ValueError: If `name` is empty, `std` is not above 0, or both weights are asked for.
    """

    name: str = "mobilenetv2_100"
    pretrained: bool = False
    weights: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    drop_rate: Annotated[float, "0 to below 1"] = 0.0
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("model.image.name must name a timm model")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"model.image.std must be above 0, got {self.std}")
        if self.pretrained and self.weights:
            raise ValueError("model.image takes either pretrained or weights, not both")


@dataclass(frozen=True, kw_only=True)
class ScratchTextConfig:
    """Size of a text backbone that is trained from nothing, and of its WordPiece vocabulary.

    Attributes:
        vocabulary_size: Most word pieces learnt from the training texts.
        width: Features per token; a multiple of `head_count`.
        layer_count: Transformer layers.
        head_count: Attention heads per layer.
        dropout: Share of activations dropped, 0 to below 1.

    Raises:
        ValueError: If `width` is no multiple of `head_count`.
    """

    vocabulary_size: Annotated[int, "1 or more"] = 8000
    width: Annotated[int, "1 or more"] = 128
    layer_count: Annotated[int, "1 or more"] = 2
    head_count: Annotated[int, "1 or more"] = 4
    dropout: Annotated[float, "0 to below 1"] = 0.1

    def __post_init__(self) -> None:
        if self.head_count > 0 and self.width % self.head_count:
            raise ValueError(
                f"model.text.scratch.width must be a multiple of head_count, "
                f"got {self.width} and {self.head_count}"
            )


@dataclass(frozen=True, kw_only=True)
class TextBackboneConfig:
    """Which text backbone is built.

    Attributes:
        name: Hugging Face hub name or local folder of a pretrained backbone, which brings its own
            tokenizer; null trains a small one from scratch.
        scratch: Size of the backbone from scratch; unused when `name` is given.
    """

    name: str | None = None
    scratch: ScratchTextConfig = field(default_factory=ScratchTextConfig)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The model.

    Attributes:
        image: Backbone of the image tower.
        text: Backbone of the text tower.
        head_dropout: Share of features dropped before the projection of either tower, 0 to below 1.
        embedding_dim: Length of one tower's embedding; the fused one is twice as long.
    """

    image: ImageBackboneConfig = field(default_factory=ImageBackboneConfig)
    text: TextBackboneConfig = field(default_factory=TextBackboneConfig)
    head_dropout: Annotated[float, "0 to below 1"] = 0.0
    embedding_dim: Annotated[int, "8 to 4096"] = 256
