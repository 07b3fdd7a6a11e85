"""The optimizer: AdamW with a learning rate per part, and what it leaves frozen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from twinshelf.training.loop.loop_config import OptimizerConfig
from twinshelf.training.model.encoder import FusedEncoder


def freeze_backbones(encoder: FusedEncoder, config: OptimizerConfig) -> None:
    """Freezes backbones whose learning rate is 0: they get no gradient at all."""
    for tower, lr in _towers(encoder, config):
        if lr == 0:
            tower.backbone.requires_grad_(False)


def set_training_modes(encoder: FusedEncoder, config: OptimizerConfig) -> None:
    """Puts backbones that learn into training mode, frozen ones and fixed norms into evaluation."""
    for tower, lr in _towers(encoder, config):
        tower.backbone.train(lr > 0)
    if config.image_batch_norm_mode == "fixed":
        for part in encoder.image_tower.backbone.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()


def build_optimizer(
    encoder: FusedEncoder, losses: nn.Module, config: OptimizerConfig
) -> torch.optim.AdamW:
    """Builds AdamW over every trained weight, each once, with its peak learning rate and decay.

    Args:
        encoder: The towers.
        losses: May hold learnt group centres; they learn as the heads do, without decay, since
            only their direction counts.
        config: Learning rates and decay.
    """
    parts: list[tuple[Iterable[nn.Parameter], float, float]] = []
    for tower, lr in _towers(encoder, config):
        parts.append((tower.backbone.parameters(), lr, config.weight_decay))
        parts.append((tower.head.parameters(), config.head_lr, config.weight_decay))
    parts.append((losses.parameters(), config.head_lr, 0.0))
    groups: list[dict[str, Any]] = []
    for weights, lr, decay in parts:
        trained = [weight for weight in weights if weight.requires_grad]
        matrices = [weight for weight in trained if weight.ndim > 1]
        vectors = [weight for weight in trained if weight.ndim <= 1]
        for chosen, chosen_decay in ((matrices, decay), (vectors, 0.0)):
            if chosen:
                groups.append({"params": chosen, "lr": lr, "weight_decay": chosen_decay})
    return torch.optim.AdamW(groups)


def _towers(encoder: FusedEncoder, config: OptimizerConfig) -> Iterable[tuple[Any, float]]:
    return ((encoder.image_tower, config.image_lr), (encoder.text_tower, config.text_lr))
