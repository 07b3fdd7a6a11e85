"""A tower: a backbone and its head, from photos or texts to unit embeddings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from twinshelf.training.model.model_config import HeadConfig


class Tower(nn.Module):
    """Photos, or texts, to unit embeddings.

    Args:
        backbone: From uint8 pixels (B, 3, S, S), or from token ids and their mask, int64 (B, L)
            each, to features (B, feature_dim).
        feature_dim: Features that the backbone gives.
        embedding_dim: Length of an embedding.
        head: The projection between the two.
    """

    def __init__(
        self,
        backbone: nn.Module,
        feature_dim: int,
        embedding_dim: int,
        head: HeadConfig | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = build_head(feature_dim, embedding_dim, head or HeadConfig())
        self.embedding_dim = embedding_dim

    def forward(self, rows: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Embeds photos, or token ids with their mask, into unit rows float32 (B, embedding_dim).

        The arguments have names of their own, since torch.export traces no list of them.
        """
        features = self.backbone(rows) if mask is None else self.backbone(rows, mask)
        return F.normalize(self.head(features).float(), dim=1)


def build_head(feature_dim: int, embedding_dim: int, config: HeadConfig) -> nn.Sequential:
    """Builds the projection (B, feature_dim) → (B, embedding_dim), not yet unit length."""
    layers: list[nn.Module] = [nn.Dropout(config.dropout)] if config.dropout else []
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
