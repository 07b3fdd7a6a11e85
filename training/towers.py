"""The towers and their fusion: from pixels and tokens to unit embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

# Half precision still holds a half that is scaled by its root.
SMALLEST_FUSION_WEIGHT = 0.0001


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """The projection from an encoder's features to the embedding.

    Attributes:
        hidden_dim: Width of a hidden layer with ReLU; 0 leaves it out.
        batch_norm: Whether the embedding is batch-normalised before it is made unit length.
        dropout: Share of features dropped before the projection, 0 to below 1.

    Raises:
        ValueError: If a value is out of range.
    """

    hidden_dim: int = 0
    batch_norm: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if self.hidden_dim < 0:
            raise ValueError(f"head.hidden_dim must be 0 or more, got {self.hidden_dim}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"head.dropout must be 0 to below 1, got {self.dropout}")


def build_head(feature_dim: int, embedding_dim: int, config: HeadConfig) -> nn.Sequential:
    """Builds the projection (B, feature_dim) → (B, embedding_dim), not yet unit length."""
    layers: list[nn.Module] = [nn.Dropout(config.dropout)] if config.dropout else []
    if config.hidden_dim:
        layers += [nn.Linear(feature_dim, config.hidden_dim), nn.ReLU()]
    # A bias before batch norm is undone by it.
    last = nn.Linear(config.hidden_dim or feature_dim, embedding_dim, bias=not config.batch_norm)
    layers.append(last)
    if config.batch_norm:
        layers.append(nn.BatchNorm1d(embedding_dim))
    return nn.Sequential(*layers)


@torch.no_grad()
def set_projection(
    head: nn.Sequential, mean: npt.NDArray[np.float64], directions: npt.NDArray[np.float64]
) -> None:
    """Makes a head without a hidden layer give (features - mean) · directions.

    Up to a common factor, which unit length undoes. Values of the embedding beyond the directions
    become 0; directions beyond its length are left out.

    Args:
        head: What `build_head` built.
        mean: Mean of the features, (feature_dim,).
        directions: The most important first, (feature_dim, C).

    Raises:
        ValueError: If the head has a hidden layer.
    """
    layers = [layer for layer in head if isinstance(layer, nn.Linear)]
    if len(layers) != 1:
        raise ValueError("only a head with model.head.hidden_dim 0 takes another projection")
    linear = layers[0]
    count = min(directions.shape[1], linear.out_features)
    linear.weight.zero_()
    linear.weight[:count] = torch.from_numpy(directions.T[:count]).to(linear.weight)
    offset = linear.weight @ torch.from_numpy(mean).to(linear.weight)
    if linear.bias is not None:
        linear.bias.copy_(-offset)
        return
    norm = head[-1]
    assert isinstance(norm, nn.BatchNorm1d), "a projection without a bias is batch-normalised"
    norm.reset_parameters()  # variance and weight 1, bias 0
    norm.running_mean.copy_(offset)  # type: ignore[union-attr]


class ImageTower(nn.Module):
    """Photos to unit embeddings; pixel scale, mean and standard deviation included.

    Args:
        encoder: Module from uint8 pixels (B, 3, S, S) to features (B, feature_dim).
        feature_dim: Features the encoder gives.
        embedding_dim: Length of an embedding.
        head: The projection between the two.
    """

    def __init__(
        self,
        encoder: nn.Module,
        feature_dim: int,
        embedding_dim: int,
        head: HeadConfig | None = None,
    ) -> None:
        """Takes the encoder and builds its head."""
        super().__init__()
        self.encoder = encoder
        self.head = build_head(feature_dim, embedding_dim, head or HeadConfig())
        self.embedding_dim = embedding_dim

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embeds RGB pixels, uint8 (B, 3, S, S), into unit rows float32 (B, embedding_dim)."""
        return F.normalize(self.head(self.encoder(pixels)).float(), dim=1)


class TextTower(nn.Module):
    """Token ids to unit embeddings; pooling included.

    Args:
        encoder: Module from ids and mask, int64 (B, L), to features (B, feature_dim).
        feature_dim: Features the encoder gives.
        embedding_dim: Length of an embedding.
        head: The projection between the two.
    """

    def __init__(
        self,
        encoder: nn.Module,
        feature_dim: int,
        embedding_dim: int,
        head: HeadConfig | None = None,
    ) -> None:
        """Takes the encoder and builds its head."""
        super().__init__()
        self.encoder = encoder
        self.head = build_head(feature_dim, embedding_dim, head or HeadConfig())
        self.embedding_dim = embedding_dim

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Embeds texts, ids and mask int64 (B, L), into unit rows float32 (B, embedding_dim)."""
        return F.normalize(self.head(self.encoder(input_ids, attention_mask)).float(), dim=1)


class Fusion(nn.Module):
    """Weighted concatenation [sqrt(w)·image ; sqrt(1-w)·text], of unit length.

    The inner product of two such rows is w·cos(image, image') + (1-w)·cos(text, text'). A row of
    zeros stands for a missing modality; the other half is then the whole of the embedding.

    Args:
        weight: w, the share of the image, `SMALLEST_FUSION_WEIGHT` to one minus that: neither
            half may vanish, because queries divide by both.

    Raises:
        ValueError: If the weight is out of range.
    """

    weight: torch.Tensor

    def __init__(self, weight: float = 0.5) -> None:
        """Keeps the weight as a buffer, so that it is saved."""
        super().__init__()
        self.register_buffer("weight", torch.tensor(0.5))
        self.set_weight(weight)

    def set_weight(self, weight: float) -> None:
        """Sets w.

        Raises:
            ValueError: If it is out of range.
        """
        if not SMALLEST_FUSION_WEIGHT <= weight <= 1 - SMALLEST_FUSION_WEIGHT:
            raise ValueError(
                f"fusion weight must be {SMALLEST_FUSION_WEIGHT} to {1 - SMALLEST_FUSION_WEIGHT}, "
                f"got {weight}"
            )
        self.weight.fill_(weight)

    def image_share(self) -> float:
        """Returns w as a plain number, for the contract: 0.55, not 0.550000012."""
        return round(self.weight.item(), 6)

    def forward(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Joins image rows (B, D) and text rows (B, D), unit or zero, into rows (B, 2D)."""
        image_scale = torch.sqrt(self.weight).to(image.dtype)
        text_scale = torch.sqrt(1.0 - self.weight).to(text.dtype)
        halves = torch.cat([image_scale * image, text_scale * text], dim=1)  # (B, 2D)
        return F.normalize(halves, dim=1)


class FusedEncoder(nn.Module):
    """Both towers and their fusion: the whole model.

    Args:
        image_tower: Photos to embeddings.
        text_tower: Texts to embeddings.
        fusion: Both to one.
    """

    def __init__(self, image_tower: ImageTower, text_tower: TextTower, fusion: Fusion) -> None:
        """Takes the three parts."""
        super().__init__()
        self.image_tower = image_tower
        self.text_tower = text_tower
        self.fusion = fusion

    def forward(
        self, pixels: torch.Tensor, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        """Embeds photos uint8 (B, 3, S, S) with their texts int64 (B, L) into rows (B, 2D)."""
        return self.fusion(self.image_tower(pixels), self.text_tower(input_ids, attention_mask))
