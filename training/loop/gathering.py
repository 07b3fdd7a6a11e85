"""The rows of one step from every process of a distributed run, for the losses to compare."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.distributed as dist


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRows:
    """Embedded rows of a step.

    Attributes:
        image: Unit or zero rows, float32 (B, D).
        text: The same for the text.
        has_image: Rows with an image, bool (B,).
        has_text: Rows with a text, bool (B,).
        kept_image: Rows whose image counts in the fusion, bool (B,).
        kept_text: Rows whose text does, bool (B,).
        labels: Group number of each row, int64 (B,).
    """

    image: torch.Tensor
    text: torch.Tensor
    has_image: torch.Tensor
    has_text: torch.Tensor
    kept_image: torch.Tensor
    kept_text: torch.Tensor
    labels: torch.Tensor


def gather_rows(rows: LossRows) -> LossRows:
    """Returns the rows of all processes, in the order of their ranks; each gives as many.

    So every process has the same loss, that of one process with the whole batch. Only a process's
    own rows have a gradient, times the number of processes: the mean over them, which distributed
    training takes, is then the gradient of that one process.

    Args:
        rows: Those of this process (B); returned as they are where it is alone.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows
    return LossRows(**{each.name: _gather(getattr(rows, each.name)) for each in fields(rows)})


def _gather(own: torch.Tensor) -> torch.Tensor:
    """Returns the (P · B, ...) values of all P processes."""
    count = dist.get_world_size()
    parts = [torch.empty_like(own) for _ in range(count)]
    dist.all_gather(parts, own.detach().contiguous())
    # The added term is zero; its gradient is not.
    parts[dist.get_rank()] = own + (count - 1) * (own - own.detach()) if own.requires_grad else own
    return torch.cat(parts)
