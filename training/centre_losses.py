"""Losses against one learnt centre per group: weights that move as the heads do."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pytorch_metric_learning import losses as pml
from torch import nn

from training.loss_ranges import check_above_zero, check_weight


class SteadyArcFaceLoss(pml.ArcFaceLoss):
    """ArcFace whose gradient stays finite when an embedding meets its centre exactly."""

    def get_angles(self, cosine_of_target_classes: torch.Tensor) -> torch.Tensor:
        """Returns angles in radians, (B,); the slope of acos is infinite at one."""
        limit = 1.0 - 1e-6
        return torch.acos(cosine_of_target_classes.clamp(-limit, limit))


@dataclass(frozen=True, kw_only=True)
class ArcFaceConfig:
    """Additive angular margin against one learnt centre per group.

    Source: Deng et al., "ArcFace", CVPR 2019, equation 3.

    Attributes:
        weight: Share in the sum of losses, 0 or more; 0 leaves it out.
        margin_degrees: Angle by which the right centre is made harder, 0 to 90.
        scale: Factor on the cosines before the softmax, above 0.

    Raises:
        ValueError: If a value is out of range.
    """

    weight: float = 0.0
    margin_degrees: float = 17.0
    scale: float = 30.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check_weight("arcface", self.weight)
        if not 0 <= self.margin_degrees <= 90:
            raise ValueError(
                f"loss.arcface.margin_degrees must be 0 to 90, got {self.margin_degrees}"
            )
        if self.scale <= 0:
            raise ValueError(f"loss.arcface.scale must be above 0, got {self.scale}")

    def build(self, *, group_count: int, embedding_dim: int) -> nn.Module:
        """Builds the loss over embeddings (B, embedding_dim) and labels below `group_count`."""
        return SteadyArcFaceLoss(
            num_classes=group_count,
            embedding_size=embedding_dim,
            margin=self.margin_degrees,
            scale=self.scale,
        )


@dataclass(frozen=True, kw_only=True)
class ClassificationConfig:
    """Plain softmax over the groups: cross-entropy of cosines with one learnt centre per group.

    Source: Zhai and Wu, "Classification is a Strong Baseline for Deep Metric Learning", BMVC 2019,
    equation 1.

    Attributes:
        weight: Share in the sum of losses, 0 or more; 0 leaves it out.
        temperature: Divisor of the cosines, above 0.

    Raises:
        ValueError: If a value is out of range.
    """

    weight: float = 0.0
    temperature: float = 0.05

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check_weight("classification", self.weight)
        check_above_zero("classification.temperature", self.temperature)

    def build(self, *, group_count: int, embedding_dim: int) -> nn.Module:
        """Builds the loss over embeddings (B, embedding_dim) and labels below `group_count`."""
        return pml.NormalizedSoftmaxLoss(
            num_classes=group_count, embedding_size=embedding_dim, temperature=self.temperature
        )
