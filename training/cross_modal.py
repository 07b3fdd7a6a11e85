"""Cross-modal contrast: the photo of a row finds the text of that row, and the text the photo."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from training.loss_ranges import check_above_zero, check_weight

LARGEST_SCALE = 100.0


@dataclass(frozen=True, kw_only=True)
class CrossModalConfig:
    """Symmetric softmax between the images and the texts of a batch.

    Other rows of the same group are neither right nor wrong answers: they are left out.

    Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
    ICML 2021, figure 3.

    Attributes:
        weight: Share in the sum of losses, 0 or more; 0 leaves it out.
        temperature: Divisor of the cosines, 0.01 or more; where it is learnt, the first one.
        is_temperature_learnt: Whether logit_scale, its inverse, moves as the heads do, up to 100.

    Raises:
        ValueError: If a value is out of range.
    """

    weight: float = 0.0
    temperature: float = 0.07
    is_temperature_learnt: bool = True

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check_weight("cross_modal", self.weight)
        check_above_zero("cross_modal.temperature", self.temperature)
        if self.temperature < 1 / LARGEST_SCALE:
            raise ValueError(
                f"loss.cross_modal.temperature must be {1 / LARGEST_SCALE} or more, "
                f"got {self.temperature}"
            )


class CrossModalLoss(nn.Module):
    """The contrast, with its logit_scale.

    Args:
        config: Temperature, and whether it is learnt.
    """

    log_scale: torch.Tensor

    def __init__(self, config: CrossModalConfig) -> None:
        """Sets the logit_scale, kept as its logarithm so that it stays positive."""
        super().__init__()
        log_scale = torch.tensor(-math.log(config.temperature))
        if config.is_temperature_learnt:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    def forward(
        self, image: torch.Tensor, text: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Returns the mean loss over both directions.

        Args:
            image: Unit rows (B, D).
            text: Unit rows (B, D), of the same products.
            labels: Group number of each row, int64 (B,).

        Returns:
            A scalar; 0 for less than two rows.
        """
        scale = self.log_scale.exp().clamp(max=LARGEST_SCALE)
        if len(labels) < 2:
            return 0.0 * (scale + image.sum() + text.sum())
        logits = scale * image @ text.T  # (B, B)
        alike = labels[:, None] == labels[None, :]
        alike.fill_diagonal_(False)
        logits = logits.masked_fill(alike, -torch.inf)
        right = torch.arange(len(labels), device=labels.device)
        return 0.5 * (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right))
