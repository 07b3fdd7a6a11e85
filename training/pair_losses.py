"""Losses on the pairs and triplets of a batch, with the miners that choose the telling ones.

All compare by cosine or by the distance of unit rows, and none has weights of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pytorch_metric_learning import distances, miners, reducers
from pytorch_metric_learning import losses as pml
from torch import nn

from training.loss_ranges import check_above_zero, check_between, check_weight


class MinedLoss(nn.Module):
    """A loss on the pairs or triplets that a miner finds telling in a batch.

    Args:
        loss: Takes embeddings (B, D), labels (B,) and the indices that the miner gave.
        miner: Takes embeddings and labels; gets no gradient.
    """

    def __init__(self, loss: nn.Module, miner: nn.Module) -> None:
        """Takes both."""
        super().__init__()
        self.loss, self.miner = loss, miner

    def forward(self, rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the loss of rows (B, D) with labels (B,); 0 when nothing was found."""
        return self.loss(rows, labels, self.miner(rows, labels))


@dataclass(frozen=True, kw_only=True)
class TripletConfig:
    """A row must be nearer to its like than to any other, by a margin of cosine.

    Averaged over the triplets that break the margin.

    Source: Schroff et al., "FaceNet", CVPR 2015, equation 3; on unit rows its squared distance is
    twice one minus the cosine.

    Attributes:
        weight: Share in the sum of losses, 0 or more; 0 leaves it out.
        margin: Least lead of the cosine with the like over that with the other, above 0 to 2.
        miner: Triplets that count: "all" that break the margin, "semihard" ones whose order is
            right, "hard" ones whose order is wrong, or for each row its "hardest" alone.

    Raises:
        ValueError: If a value is out of range.
    """

    weight: float = 0.0
    margin: float = 0.1
    miner: Literal["all", "semihard", "hard", "hardest"] = "all"

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check_weight("triplet", self.weight)
        check_above_zero("triplet.margin", self.margin)
        check_between("triplet.margin", self.margin, 0, 2)

    def build(self, *, group_count: int, embedding_dim: int) -> nn.Module:
        """Builds the loss over embeddings (B, D) and labels."""
        del group_count, embedding_dim
        cosine = distances.CosineSimilarity()
        loss = pml.TripletMarginLoss(margin=self.margin, distance=cosine)
        if self.miner == "hardest":
            return MinedLoss(loss, miners.BatchHardMiner(distance=cosine))
        miner = miners.TripletMarginMiner(
            margin=self.margin, type_of_triplets=self.miner, distance=cosine
        )
        return MinedLoss(loss, miner)


@dataclass(frozen=True, kw_only=True)
class MultiSimilarityConfig:
    """Soft maxima over the least similar likes and the most similar others of each row.

    Source: Wang et al., "Multi-Similarity Loss", CVPR 2019, equations 11, 12 and 16.

    Attributes:
        weight: Share in the sum of losses, 0 or more; 0 leaves it out.
        alpha: Sharpness over likes, above 0.
        beta: Sharpness over others, above 0.
        base: Cosine between likes and others, -1 to 1.
        epsilon: A pair is mined when its cosine is within this of the hardest pair of the other
            kind, 0 to 2.

    Raises:
        ValueError: If a value is out of range.
    """

    weight: float = 0.0
    alpha: float = 2.0
    beta: float = 50.0
    base: float = 0.5
    epsilon: float = 0.1

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check_weight("multi_similarity", self.weight)
        check_above_zero("multi_similarity.alpha", self.alpha)
        check_above_zero("multi_similarity.beta", self.beta)
        check_between("multi_similarity.base", self.base, -1, 1)
        check_between("multi_similarity.epsilon", self.epsilon, 0, 2)

    def build(self, *, group_count: int, embedding_dim: int) -> nn.Module:
        """Builds the loss over embeddings (B, D) and labels."""
        del group_count, embedding_dim
        loss = pml.MultiSimilarityLoss(alpha=self.alpha, beta=self.beta, base=self.base)
        return MinedLoss(loss, miners.MultiSimilarityMiner(epsilon=self.epsilon))


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig:
    """Likes are drawn together, others pushed apart until their distance reaches a margin.

    Likes and others are averaged apart, each over the pairs that still cost something.

    Source: Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006,
    equation 4, with plain distances in place of squares.

    Attributes:
        weight: Share in the sum of losses, 0 or more; 0 leaves it out.
        margin: Euclidean distance of unit rows at which others no longer count, above 0 to 2.

    Raises:
        ValueError: If a value is out of range.
    """

    weight: float = 0.0
    margin: float = 1.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check_weight("contrastive", self.weight)
        check_above_zero("contrastive.margin", self.margin)
        check_between("contrastive.margin", self.margin, 0, 2)

    def build(self, *, group_count: int, embedding_dim: int) -> nn.Module:
        """Builds the loss over embeddings (B, D) and labels."""
        del group_count, embedding_dim
        return pml.ContrastiveLoss(pos_margin=0.0, neg_margin=self.margin)


@dataclass(frozen=True, kw_only=True)
class CosineConfig:
    """Cosines of likes are drawn to 1, those of others pushed below a margin.

    The mean over all likes plus the mean over all others of a batch: others are many more, and
    would drown the likes in one mean over both.

    Attributes:
        weight: Share in the sum of losses, 0 or more; 0 leaves it out.
        margin: Cosine below which others no longer count, -1 to below 1.

    Raises:
        ValueError: If a value is out of range.
    """

    weight: float = 0.0
    margin: float = 0.2

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check_weight("cosine", self.weight)
        check_between("cosine.margin", self.margin, -1, 0.999)

    def build(self, *, group_count: int, embedding_dim: int) -> nn.Module:
        """Builds the loss over embeddings (B, D) and labels."""
        del group_count, embedding_dim
        return pml.ContrastiveLoss(
            pos_margin=1.0,
            neg_margin=self.margin,
            distance=distances.CosineSimilarity(),
            reducer=reducers.MeanReducer(),
        )
