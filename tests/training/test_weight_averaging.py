"""The averages of weights against loops over the steps and the epochs."""

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from training.weight_averaging import EpochAverage, build_moving_average, early_decay, mix_in


def test_early_steps_take_a_smaller_decay():
    assert early_decay(0.99, 0) == pytest.approx(0.1)
    assert early_decay(0.99, 10) == pytest.approx(11 / 20)
    assert early_decay(0.99, 100_000) == 0.99


def test_the_average_equals_the_loop():
    module = torch.nn.BatchNorm1d(3)
    averaged = torch.optim.swa_utils.AveragedModel(
        module, use_buffers=True, **build_moving_average(0.6)._kwargs
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


def test_the_start_is_mixed_into_weights_and_statistics_but_not_into_counters():
    module, start = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2).state_dict()
    module.weight.data = torch.tensor([3.0, 5.0])
    module.running_mean = torch.tensor([1.0, -1.0])
    module.num_batches_tracked.fill_(9)
    mix_in(module, start, 0.25)
    assert module.weight.tolist() == [2.5, 4.0]
    assert module.running_mean.tolist() == [0.75, -0.75]
    assert module.num_batches_tracked == 9


class Regression(L.LightningModule):
    """A regression behind a batch norm, which has statistics and a counter."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1))
        self.validated = []

    def training_step(self, batch, batch_number):
        return (self.layers(batch).squeeze(1) - batch.sum(1)).square().mean()

    def validation_step(self, batch, batch_number):
        self.validated.append({key: value.clone() for key, value in self.state_dict().items()})

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05)


class EpochEnds(Callback):
    """Keeps the weights that the last step of each epoch leaves."""

    def __init__(self):
        self.states = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        state = {key: value.clone() for key, value in pl_module.state_dict().items()}
        if batch_idx == 0:
            self.states.append(state)
        self.states[-1] = state


def fit(folder, *, first_epoch, epoch_count, resume=None):
    rows = torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
    module, ends = Regression(), EpochEnds()
    trainer = L.Trainer(
        max_epochs=epoch_count,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[
            ends,
            EpochAverage(first_epoch),
            ModelCheckpoint(dirpath=folder, filename="last", save_on_train_epoch_end=True),
        ],
    )
    batches = torch.utils.data.DataLoader(rows, batch_size=6)
    trainer.fit(module, batches, torch.utils.data.DataLoader(rows, batch_size=20), ckpt_path=resume)
    return module, ends.states


def mean_of(states):
    """Returns the mean of each tensor; of a counter, the newest."""
    return {
        key: sum(state[key] for state in states) / len(states)
        if newest.is_floating_point()
        else newest
        for key, newest in states[-1].items()
    }


def test_the_mean_of_the_last_epochs_is_validated_and_left(tmp_path):
    module, ends = fit(tmp_path, first_epoch=3, epoch_count=5)
    assert len(ends) == len(module.validated) == 5
    torch.testing.assert_close(module.state_dict(), mean_of(ends[2:]))
    for epoch, validated in enumerate(module.validated, start=1):
        # Before the first averaged epoch each is validated with its own weights.
        chosen = ends[2:epoch] if epoch >= 3 else ends[epoch - 1 : epoch]
        torch.testing.assert_close(validated, mean_of(chosen))
    # The epochs differ by more than the tolerance, in weights and in statistics.
    for key in ("layers.1.weight", "layers.0.running_mean"):
        assert (module.state_dict()[key] - ends[-1][key]).abs().max() > 1e-3


@pytest.mark.parametrize("stop", [1, 3])
def test_the_mean_goes_on_when_a_run_is_resumed(tmp_path, stop):
    _, ends = fit(tmp_path / "whole", first_epoch=2, epoch_count=5)
    fit(tmp_path, first_epoch=2, epoch_count=stop)
    resumed, later = fit(tmp_path, first_epoch=2, epoch_count=5, resume=tmp_path / "last.ckpt")
    torch.testing.assert_close(resumed.state_dict(), mean_of(ends[1:]))
    assert len(later) == 5 - stop


def test_a_mean_that_never_begins_leaves_the_last_weights(tmp_path):
    module, ends = fit(tmp_path, first_epoch=9, epoch_count=2)
    torch.testing.assert_close(module.state_dict(), ends[-1])
