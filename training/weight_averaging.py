"""Averages of weights, over the steps, the epochs or with the start: what is saved and served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import nn


def build_moving_average(decay: float) -> WeightAveraging:
    """Builds the callback that keeps an exponential moving average of all weights.

    Args:
        decay: Share of the old average in the new one, above 0 to below 1; early steps take less,
            (1 + n) / (10 + n) after n of them, so that the fresh weights are soon forgotten.
    """

    def average(
        old: torch.Tensor, current: torch.Tensor, step_count: torch.Tensor | int
    ) -> torch.Tensor:
        """Averages one weight, as torch asks; ours lets the decay grow with the steps."""
        return _mix(old, current, 1.0 - early_decay(decay, int(step_count)))

    return WeightAveraging(avg_fn=average)


def early_decay(decay: float, step_count: int) -> float:
    """Returns the decay after `step_count` averaged steps."""
    return min(decay, (1 + step_count) / (10 + step_count))


class EpochAverage(WeightAveraging):
    """Keeps the mean, in equal shares, of the weights at the end of each of the last epochs.

    Earlier epochs are validated and saved with their own weights. The schedule of the learning rate
    stays as it is: a cosine that falls to 0 hardly moves the weights in its last epochs, so a mean
    that begins there changes little; one that begins in the last half or third also takes in the
    steps of a higher rate that it is meant to smooth.

    Running means and variances of batch norm are averaged like weights. The source passes the
    training rows through the averaged network once more instead, to measure them anew; statistics
    that are fixed or of a frozen encoder are equal in every epoch, so there both are the same.

    Source: Izmailov et al. 2018, arXiv 1803.05407, section 3.2 and algorithm 1, with a cycle of one
    epoch.

    Args:
        first_epoch: Epoch of the first weights in the mean, counted from 1.
    """

    def __init__(self, first_epoch: int) -> None:
        """Starts with no epoch in the mean."""
        super().__init__(avg_fn=_equal_share)
        self.first_epoch = first_epoch

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Takes in the weights after the last step of an epoch, before they are validated."""
        if not trainer.is_last_batch:
            return
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if trainer.current_epoch + 1 < self.first_epoch:
            assert self._average_model is not None
            # The next epoch is then copied over this one instead of averaged with it.
            self._average_model.n_averaged.zero_()


@torch.no_grad()
def mix_in(module: nn.Module, start: Mapping[str, torch.Tensor], share: float) -> None:
    """Moves the weights of a module back towards where they started.

    Args:
        module: The trained module; its weights become share · start + (1 - share) · trained.
        start: Copy of its `state_dict` from before training.
        share: Share of the start, 0 to 1.
    """
    for name, value in module.state_dict().items():
        value.copy_(_mix(start[name].to(value.device), value, 1.0 - share))


def _equal_share(
    old: torch.Tensor, current: torch.Tensor, epoch_count: torch.Tensor | int
) -> torch.Tensor:
    return _mix(old, current, 1.0 / (int(epoch_count) + 1))


def _mix(old: torch.Tensor, current: torch.Tensor, share: float) -> torch.Tensor:
    # Counters are whole numbers: the newest is as good as a mean.
    return torch.lerp(old, current, share) if old.is_floating_point() else current
