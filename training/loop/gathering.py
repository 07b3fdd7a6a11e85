"""The rows of one step from every process of a distributed run, for the losses to compare."""

from __future__ import annotations

import torch
import torch.distributed as dist


def gather_rows(*rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Returns the rows of all processes, in the order of their ranks; each gives as many.

    So every process has the same loss, that of one process with the whole batch. Only a process's
    own rows have a gradient, times the number of processes: the mean over them, which distributed
    training takes, is then the gradient of that one process.

    Args:
        *rows: Values of this process, (B, ...) each; returned as they are where it is alone.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows
    return tuple(map(_gather, rows))


def _gather(own: torch.Tensor) -> torch.Tensor:
    """Returns the (P · B, ...) values of all P processes."""
    count = dist.get_world_size()
    parts = [torch.empty_like(own) for _ in range(count)]
    dist.all_gather(parts, own.detach().contiguous())
    # The added term is zero; its gradient is not.
    parts[dist.get_rank()] = own + (count - 1) * (own - own.detach()) if own.requires_grad else own
    return torch.cat(parts)
