"""The average of weights against a loop over the steps."""

import pytest
import torch

from training.weight_averaging import build_weight_averaging, early_decay


def test_early_steps_take_a_smaller_decay():
    assert early_decay(0.99, 0) == pytest.approx(0.1)
    assert early_decay(0.99, 10) == pytest.approx(11 / 20)
    assert early_decay(0.99, 100_000) == 0.99


def test_the_average_equals_the_loop():
    module = torch.nn.BatchNorm1d(3)
    averaged = torch.optim.swa_utils.AveragedModel(
        module, use_buffers=True, **build_weight_averaging(0.6)._kwargs
    )
    generator = torch.Generator().manual_seed(0)
    expected = None
    for step in range(12):
        module.weight.data = torch.randn(3, generator=generator)
        module.num_batches_tracked.fill_(step)
        averaged.update_parameters(module)
        current = module.weight.detach().clone()
        share = min(0.6, (1 + step) / (10 + step))
        expected = current if expected is None else share * expected + (1 - share) * current
    torch.testing.assert_close(averaged.module.weight.detach(), expected)
    assert averaged.module.num_batches_tracked == 11
