"""Losses and miners of pytorch-metric-learning, built by name."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers
from torch import nn

from twinshelf.training.losses.loss_config import LossTermConfig

# Where a class without a dotted path is looked for, this file first.
MODULES = (sys.modules[__name__], losses, miners, distances, reducers, regularizers)


class MetricLoss(nn.Module):
    """A loss of the library, on all that it compares or on what a miner finds telling.

    Args:
        loss: Takes embeddings (B, D), labels (B,) and the indices that the miner gave.
        miner: Takes embeddings and labels; gets no gradient.
    """

    def __init__(self, loss: nn.Module, miner: nn.Module | None) -> None:
        super().__init__()
        self.loss, self.miner = loss, miner

    def forward(self, rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the loss of rows (B, D) with labels (B,); 0 when nothing was found."""
        found = self.miner(rows, labels) if self.miner else None
        return self.loss(rows, labels, found)


class SteadyArcFaceLoss(losses.ArcFaceLoss):
    """ArcFace whose gradient stays finite when an embedding meets its centre exactly."""

    def get_angles(self, cosine_of_target_classes: torch.Tensor) -> torch.Tensor:
        """Returns angles in radians, (B,); the slope of acos is infinite at one."""
        limit = 1.0 - 1e-6
        return torch.acos(cosine_of_target_classes.clamp(-limit, limit))


def build_term(term: LossTermConfig, *, group_count: int, embedding_dim: int) -> MetricLoss:
    """Builds a loss over embeddings (B, embedding_dim) and labels below `group_count`.

    Raises:
        ValueError: If the library has no such class, or it does not take the options.
    """
    sizes = {"num_classes": group_count, "embedding_size": embedding_dim}
    required = _required_arguments(_find_class(term.name))
    filled = {name: size for name, size in sizes.items() if name in required}
    loss = _build(term.name, {**filled, **term.options})
    miner = _build(term.miner.name, term.miner.options) if term.miner else None
    return MetricLoss(loss, miner)


def check_terms(terms: Iterable[LossTermConfig]) -> None:
    """Tries each loss on four rows of two groups.

    Raises:
        ValueError: If one cannot be built, or cannot be computed from embeddings and labels.
    """
    rows, labels = F.normalize(torch.eye(4, 8) + 0.5), torch.tensor([0, 0, 1, 1])
    for term in terms:
        loss = build_term(term, group_count=2, embedding_dim=8)
        try:
            value = loss(rows, labels)
        except Exception as error:  # the library checks few arguments when they are given
            raise ValueError(f"loss.terms: {term} cannot be computed: {error}") from error
        if not isinstance(value, torch.Tensor) or value.ndim:
            raise ValueError(f"loss.terms: {term.name} must give one number, got {value}")


def _build(name: str, options: Mapping[str, Any]) -> nn.Module:
    arguments = {key: _build_nested(value) for key, value in options.items()}
    try:
        return _find_class(name)(**arguments)
    except (TypeError, AssertionError, AttributeError) as error:
        raise ValueError(
            f"loss.terms: {name} does not take the options {dict(options)}: {error}"
        ) from error


def _build_nested(value: Any) -> Any:
    if isinstance(value, dict) and "name" in value:
        return _build(value["name"], value.get("options", {}))
    return value


def _find_class(name: str) -> type[Any]:
    module_name, _, class_name = name.rpartition(".")
    try:
        modules = (importlib.import_module(module_name),) if module_name else MODULES
    except ModuleNotFoundError as error:
        raise ValueError(f"loss.terms: no module {module_name!r} for {name!r}") from error
    for module in modules:
        found = getattr(module, class_name, None)
        if inspect.isclass(found):
            return found
    where = module_name or "pytorch_metric_learning"
    raise ValueError(f"loss.terms: {where} has no loss, miner or distance named {class_name!r}")


def _required_arguments(loss: type[Any]) -> set[str]:
    return {
        name
        for owner in loss.__mro__
        for name, parameter in inspect.signature(owner.__init__).parameters.items()  # type: ignore[misc]
        if parameter.default is inspect.Parameter.empty
    }
