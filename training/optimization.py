"""The optimiser: AdamW with a learning rate per part, warm-up and cosine decay."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from training.stages import enable_gradient_checkpointing, freeze_first_stages
from training.towers import FusedEncoder


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How weights are moved.

    Attributes:
        head_rate: Peak learning rate of the heads and of learnt group centres, above 0.
        image_rate: Peak learning rate of the image encoder, 0 or more; 0 freezes it.
        text_rate: Peak learning rate of the text encoder, 0 or more; 0 freezes it.
        image_statistics: What becomes of the statistics of batch norms in the image encoder:
            "moving", each step moves them; "fixed", they stay as they came; "restored", for weights
            that have them folded in, measured on training photos first, then moving.
        image_frozen_stages: First stages of the image encoder that never move, 0 or more: 1 is the
            stem.
        text_frozen_stages: First stages of the text encoder that never move, 0 or more: 1 is the
            token embeddings.
        frozen_epoch_count: First epochs in which only the heads move, 0 or more.
        gradient_checkpointing: Whether the encoders that move compute activations twice to save
            memory.
        weight_decay: Decay of matrices, 0 or more; biases and norms have none.
        warmup_share: Share of the steps in which the rates rise to their peak, 0 to below 1.
        gradient_clip: Largest norm of a gradient, 0 or more; 0 does not clip.

    Raises:
        ValueError: If a value is out of range.
    """

    head_rate: float = 1e-3
    image_rate: float = 1e-3
    text_rate: float = 1e-3
    image_statistics: Literal["moving", "fixed", "restored"] = "moving"
    image_frozen_stages: int = 0
    text_frozen_stages: int = 0
    frozen_epoch_count: int = 0
    gradient_checkpointing: bool = False
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    gradient_clip: float = 5.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if self.head_rate <= 0:
            raise ValueError(f"optimizer.head_rate must be above 0, got {self.head_rate}")
        for name in (
            "image_rate",
            "text_rate",
            "image_frozen_stages",
            "text_frozen_stages",
            "frozen_epoch_count",
            "weight_decay",
            "gradient_clip",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"optimizer.{name} must be 0 or more, got {getattr(self, name)}")
        if not 0 <= self.warmup_share < 1:
            raise ValueError(
                f"optimizer.warmup_share must be 0 to below 1, got {self.warmup_share}"
            )


def freeze_unmoved(model: FusedEncoder, config: OptimizerConfig) -> None:
    """Freezes encoders whose rate is 0, and first stages: they get no gradient at all.

    Raises:
        ValueError: If an encoder has too few stages, or cannot tell them.
    """
    for encoder, rate, stage_count in (
        (model.image_tower.encoder, config.image_rate, config.image_frozen_stages),
        (model.text_tower.encoder, config.text_rate, config.text_frozen_stages),
    ):
        if rate == 0:
            encoder.requires_grad_(False)
            continue
        freeze_first_stages(encoder, stage_count)
        if config.gradient_checkpointing:
            enable_gradient_checkpointing(encoder)


def set_training_modes(model: FusedEncoder, config: OptimizerConfig, epoch: int = 0) -> None:
    """Puts encoders that move into training mode, and keeps fixed what is not to change.

    Args:
        model: The towers.
        config: What moves.
        epoch: Number of the epoch that begins, from 0.
    """
    image = model.image_tower.encoder
    is_thawed = epoch >= config.frozen_epoch_count
    image.train(is_thawed and config.image_rate > 0)
    model.text_tower.encoder.train(is_thawed and config.text_rate > 0)
    for part in image.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            is_frozen = part.weight is not None and not part.weight.requires_grad
            if config.image_statistics == "fixed" or is_frozen:
                part.eval()


def parameter_groups(
    model: FusedEncoder, losses: nn.Module, config: OptimizerConfig
) -> list[dict[str, Any]]:
    """Returns every trained weight once, with its peak rate and decay, and if it is an encoder's.

    Args:
        model: The towers.
        losses: May hold learnt group centres; they move as the heads do, without decay, since
            only their direction counts.
        config: Rates and decay.
    """
    image, text = model.image_tower, model.text_tower
    parts: list[tuple[Iterable[nn.Parameter], float, float, bool]] = [
        (image.encoder.parameters(), config.image_rate, config.weight_decay, True),
        (text.encoder.parameters(), config.text_rate, config.weight_decay, True),
        (image.head.parameters(), config.head_rate, config.weight_decay, False),
        (text.head.parameters(), config.head_rate, config.weight_decay, False),
        (losses.parameters(), config.head_rate, 0.0, False),
    ]
    groups: list[dict[str, Any]] = []
    for weights, rate, decay, is_encoder in parts:
        trained = [weight for weight in weights if weight.requires_grad]
        matrices = [weight for weight in trained if weight.ndim > 1]
        vectors = [weight for weight in trained if weight.ndim <= 1]
        for chosen, chosen_decay in ((matrices, decay), (vectors, 0.0)):
            if chosen:
                group = {"params": chosen, "lr": rate, "weight_decay": chosen_decay}
                groups.append({**group, "is_encoder": is_encoder})
    return groups


def rate_factor(
    step: int, *, step_count: int, warmup_share: float, frozen_step_count: int = 0
) -> float:
    """Returns the learning rate at a step as a share of its peak: linear rise, cosine fall to 0.

    Args:
        step: Steps done, from 0.
        step_count: Steps of the run.
        warmup_share: Share of them that warm up.
        frozen_step_count: First steps in which the rate is 0, whatever the others are.
    """
    if step < frozen_step_count:
        return 0.0
    warmup = max(1, round(step_count * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, step_count - warmup))
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def build_optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Builds AdamW over groups of weights."""
    return torch.optim.AdamW(groups)
