"""Cross-modal contrast: the photo of a row finds the text of that row, and the text the photo."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from twinshelf.training.losses.loss_config import LARGEST_SCALE


class CrossModalLoss(nn.Module):
    """Symmetric softmax between the images and the texts of a batch, with a learnt logit_scale.

    Other rows of the same group are neither positives nor negatives: they are left out.

    Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
    ICML 2021, figure 3.

    Args:
        temperature: Divisor of the cosines that training begins with, above 0.
    """

    def __init__(self, temperature: float) -> None:
        """Sets the logit_scale, kept as its logarithm so that it stays positive."""
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

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
