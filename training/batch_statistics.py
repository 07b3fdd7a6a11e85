"""Batch statistics that were folded into the weights of an encoder: measured and restored."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

# Of what the encoder computes; rounding alone changes a hundred-thousandth.
TOLERANCE = 1e-3


@torch.no_grad()
def restore_statistics(encoder: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Gives each 2-d batch norm of an encoder the mean and variance of what it reads.

    Published weights often have them folded in: the norms then only add a bias, and the weights of
    one layer are hundreds of times those of another, so that no learning rate suits both. Here a
    norm's scale and bias make up for the statistics that it is given, and the convolution whose
    output it reads is scaled to variance 1. What the encoder computes stays as it was; how its
    weights move does not.

    Args:
        encoder: Module of one tensor; its weights are changed in place, and it is left in
            evaluation mode.
        batches: What to measure on, on the encoder's device.

    Raises:
        ValueError: If there is no batch, or a scaled convolution is read by more than its norm: the
            encoder is spoilt then.
    """
    encoder.eval()
    last = _LastConvolution()
    norms = [_MeasuredNorm(part, last) for part in encoder.modules() if _has_statistics(part)]
    hooks = [
        part.register_forward_hook(last.note)
        for part in encoder.modules()
        if isinstance(part, nn.Conv2d)
    ]
    hooks += [measured.norm.register_forward_pre_hook(measured.read) for measured in norms]
    batch = before = None
    try:
        for batch in batches:
            before = encoder(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if batch is None or before is None:
        raise ValueError("batch statistics are measured on photos, and there are none")
    for measured in norms:
        measured.restore()
    if not (encoder(batch) - before).norm() <= TOLERANCE * before.norm():
        raise ValueError(
            "the batch statistics of this image encoder cannot be restored: convolutions before "
            "its norms are read elsewhere too"
        )


def _has_statistics(part: nn.Module) -> bool:
    return isinstance(part, nn.BatchNorm2d) and part.track_running_stats and part.affine


class _LastConvolution:
    """The convolution that ran last, and what it put out."""

    def __init__(self) -> None:
        self.convolution: nn.Module | None = None
        self.output: torch.Tensor | None = None

    def note(self, convolution: nn.Module, inputs: object, output: torch.Tensor) -> None:
        """Takes over what a convolution has just put out: a forward hook."""
        self.convolution, self.output = convolution, output


class _MeasuredNorm:
    """A batch norm and the statistics of what it reads."""

    def __init__(self, norm: nn.Module, last: _LastConvolution) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        self.norm, self.last = norm, last
        # Without momentum it keeps the plain mean over the batches.
        self.meter = nn.BatchNorm2d(norm.num_features, affine=False, momentum=None)
        self.meter.to(norm.weight.device)
        self.convolution: nn.Module | None = None

    def read(self, norm: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        """Measures what the norm is about to read: a forward pre-hook."""
        (values,) = inputs
        self.meter(values)
        self.convolution = self.last.convolution if values is self.last.output else None

    def restore(self) -> None:
        """Gives the norm what was measured; one that read nothing is left as it is."""
        norm, mean, variance = self.norm, self.meter.running_mean, self.meter.running_var
        if not self.meter.num_batches_tracked:
            return
        assert norm.running_mean is not None and norm.running_var is not None
        assert mean is not None and variance is not None
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        deviation = (variance + norm.eps).sqrt()
        norm.bias.add_(gain * (mean - norm.running_mean))
        norm.weight.copy_(gain * deviation)
        # A channel that never varies is dead: it is left at its scale.
        scale = torch.where(variance > norm.eps, deviation, torch.ones_like(deviation))
        if self.convolution is None:
            scale = torch.ones_like(deviation)
        else:
            _divide(self.convolution, scale)
        norm.running_mean.copy_(mean / scale)
        # The norm adds its eps once more.
        norm.running_var.copy_((deviation / scale).square() - norm.eps)


def _divide(convolution: nn.Module, scale: torch.Tensor) -> None:
    assert isinstance(convolution, nn.Conv2d)
    convolution.weight /= scale.view(-1, 1, 1, 1)
    if convolution.bias is not None:
        convolution.bias /= scale
