"""Averaging of weights over the steps: smoother weights are validated, saved and served."""

from __future__ import annotations

import torch
from lightning.pytorch.callbacks import WeightAveraging


def build_weight_averaging(decay: float) -> WeightAveraging:
    """Builds the callback that keeps an exponential moving average of all weights.

    Args:
        decay: Share of the old average in the new one, above 0 to below 1; early steps take less,
            (1 + n) / (10 + n) after n of them, so that the fresh weights are soon forgotten.
    """

    def average(
        old: torch.Tensor, current: torch.Tensor, step_count: torch.Tensor | int
    ) -> torch.Tensor:
        share = early_decay(decay, int(step_count))
        # Counters are whole numbers: the newest is as good as a mean.
        return torch.lerp(current, old, share) if old.is_floating_point() else current

    return WeightAveraging(avg_fn=average)


def early_decay(decay: float, step_count: int) -> float:
    """Returns the decay after `step_count` averaged steps."""
    return min(decay, (1 + step_count) / (10 + step_count))
