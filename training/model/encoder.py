"""The encoder: both towers and their fusion, from pixels and tokens to unit embeddings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PretrainedConfig

from twinshelf.training.model.image_backbone import build_image_backbone, count_image_features
from twinshelf.training.model.model_config import ModelConfig
from twinshelf.training.model.text_backbone import build_text_backbone


class Tower(nn.Module):
    """Photos, or texts, to unit embeddings.

    Args:
        backbone: From uint8 pixels (B, 3, S, S), or from token ids and their mask, int64 (B, L)
            each, to features (B, feature_dim).
        feature_dim: Features that the backbone gives.
        embedding_dim: Length of an embedding.
        head_dropout: Share of features dropped before the projection, 0 to below 1.
    """

    def __init__(
        self, backbone: nn.Module, feature_dim: int, embedding_dim: int, head_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = build_head(feature_dim, embedding_dim, head_dropout)
        self.embedding_dim = embedding_dim

    def forward(self, rows: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Embeds photos, or token ids with their mask, into unit rows float32 (B, embedding_dim).

        The arguments have names of their own, since torch.export traces no list of them.
        """
        features = self.backbone(rows) if mask is None else self.backbone(rows, mask)
        return F.normalize(self.head(features).float(), dim=1)


def build_head(feature_dim: int, embedding_dim: int, dropout: float) -> nn.Sequential:
    """Builds the projection (B, feature_dim) → (B, embedding_dim), not yet unit length."""
    layers: list[nn.Module] = [nn.Dropout(dropout)] if dropout else []
    # A bias before batch norm is undone by it.
    layers.append(nn.Linear(feature_dim, embedding_dim, bias=False))
    return nn.Sequential(*layers, nn.BatchNorm1d(embedding_dim))


@torch.no_grad()
def set_projection(
    head: nn.Sequential, mean: npt.NDArray[np.float64], directions: npt.NDArray[np.float64]
) -> None:
    """Makes a head give (features - mean) · directions, up to a factor that unit length undoes.

    Values of the embedding beyond the directions become 0; directions beyond its length are left
    out.

    Args:
        head: What `build_head` built.
        mean: Mean of the features, (feature_dim,).
        directions: The most important first, (feature_dim, C).
    """
    linear, norm = head[-2], head[-1]
    assert isinstance(linear, nn.Linear) and isinstance(norm, nn.BatchNorm1d)
    count = min(directions.shape[1], linear.out_features)
    linear.weight.zero_()
    linear.weight[:count] = torch.from_numpy(directions.T[:count]).to(linear.weight)
    norm.reset_parameters()  # variance and weight 1, bias 0
    assert norm.running_mean is not None
    norm.running_mean.copy_(linear.weight @ torch.from_numpy(mean).to(linear.weight))


class Fusion(nn.Module):
    """Weighted concatenation [sqrt(w)·image ; sqrt(1-w)·text], of unit length.

    The inner product of two such rows is w·cos(image, image') + (1-w)·cos(text, text'). A row of
    zeros stands for a missing modality; the other half is then the whole of the embedding.

    Args:
        weight: w, the weight of the image, more than 0 and less than 1.

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
        if not 0 < weight < 1:
            raise ValueError(f"fusion_weight must lie between 0 and 1, got {weight}")
        self.weight.fill_(weight)

    def plain_weight(self) -> float:
        """Returns w as a plain number, for the contract: 0.55, not 0.550000012."""
        return round(self.weight.item(), 6)

    def forward(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Joins image rows (B, D) and text rows (B, D), unit or zero, into rows (B, 2D)."""
        image_scale = torch.sqrt(self.weight).to(image.dtype)
        text_scale = torch.sqrt(1.0 - self.weight).to(text.dtype)
        halves = torch.cat([image_scale * image, text_scale * text], dim=1)  # (B, 2D)
        return F.normalize(halves, dim=1)


class FusedEncoder(nn.Module):
    """Both towers and their fusion: the whole encoder.

    Args:
        image_tower: Photos to embeddings.
        text_tower: Texts to embeddings.
        fusion: Both to one.
    """

    def __init__(self, image_tower: Tower, text_tower: Tower, fusion: Fusion) -> None:
        super().__init__()
        self.image_tower = image_tower
        self.text_tower = text_tower
        self.fusion = fusion


def build_encoder(
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
        architecture: The text backbone's, from `scratch_architecture` or a saved run.
        with_weights: Whether pretrained weights are read; False where trained ones follow.

    Raises:
        ValueError: If a backbone cannot be built from its configuration.
        OSError: If pretrained weights are missing.
    """
    image = build_image_backbone(config.image, with_weights=with_weights)
    pretrained = config.text.name if with_weights else None
    text = build_text_backbone(architecture, pretrained or "")
    image_features = count_image_features(image, image_size_px)
    return FusedEncoder(
        Tower(image, image_features, config.embedding_dim, config.head_dropout),
        Tower(text, architecture.hidden_size, config.embedding_dim, config.head_dropout),
        Fusion(),
    )
