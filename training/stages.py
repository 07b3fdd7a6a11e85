"""The stages of an encoder, in order from its input: what freezing the first N of them holds."""

from __future__ import annotations

from typing import Any, cast

from timm.models import group_parameters
from torch import nn


def freeze_first_stages(encoder: nn.Module, count: int) -> None:
    """Freezes the weights of the first stages of an encoder.

    Args:
        encoder: An image encoder (stem, then stages) or a text encoder (token embeddings, then
            layers), from `training.image_encoder` or `training.text_encoder`.
        count: Stages to freeze, 0 or more.

    Raises:
        ValueError: If the encoder has not more than `count` stages, or they cannot be told.
    """
    if not count:
        return
    stages = list_stages(cast("nn.Module", encoder.backbone))
    if count >= len(stages):
        raise ValueError(f"{count} stages to freeze, but the encoder has {len(stages)}")
    for stage in stages[:count]:
        for weight in stage:
            weight.requires_grad_(False)


def list_stages(backbone: nn.Module) -> list[list[nn.Parameter]]:
    """Returns the weights of each stage, from input to output.

    Raises:
        ValueError: If the backbone is neither a timm model that tells its stages nor a BERT-like
            encoder.
    """
    if hasattr(backbone, "group_matcher"):
        names = group_parameters(backbone, cast("Any", backbone).group_matcher(coarse=True))
        return [
            [backbone.get_parameter(name) for name in names[number]] for number in sorted(names)
        ]
    layers = getattr(getattr(backbone, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList) or not hasattr(backbone, "embeddings"):
        raise ValueError(f"the stages of {type(backbone).__name__} cannot be told: freeze none")
    parts = [cast("nn.Module", backbone.embeddings), *layers]
    return [list(part.parameters()) for part in parts]


def enable_gradient_checkpointing(encoder: nn.Module) -> None:
    """Makes an encoder compute its activations again on the way back, rather than keep them.

    Gradients stay the same and memory falls; moving batch statistics are moved twice a step.

    Raises:
        ValueError: If the backbone cannot.
    """
    backbone = cast("Any", encoder.backbone)
    try:
        if hasattr(backbone, "set_grad_checkpointing"):
            backbone.set_grad_checkpointing(True)
        else:
            backbone.gradient_checkpointing_enable({"use_reentrant": False})
    except (AssertionError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{type(backbone).__name__} has no gradient checkpointing: {error}"
        ) from error
