"""The trainer of a run: which epochs it saves."""

import lightning as L
import torch

from training.loop import BEST, LAST, MONITORED, LoopConfig, build_trainer


class Worsening(L.LightningModule):
    """A module whose every validation is worse than the one before."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_number):
        return self.layer(batch).mean()

    def validation_step(self, batch, batch_number):
        self.log(MONITORED, -float(self.current_epoch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder, *, epoch_count, resume=None):
    config = LoopConfig(epoch_count=epoch_count, accelerator="cpu", loggers=(), show_progress=False)
    trainer = build_trainer(config, folder=folder, gradient_clip=0.0, with_validation=True)
    batches = torch.utils.data.DataLoader(torch.ones(2, 1))
    trainer.fit(Worsening(), batches, batches, ckpt_path=resume)


def test_the_last_epoch_is_saved_though_an_earlier_one_is_better(tmp_path):
    for epoch_count, resume in ((3, None), (5, tmp_path / LAST)):
        fit(tmp_path, epoch_count=epoch_count, resume=resume)
        # Epochs are counted from 0 in a checkpoint.
        assert torch.load(tmp_path / LAST)["epoch"] == epoch_count - 1
        assert torch.load(tmp_path / BEST)["epoch"] == 0
        assert torch.load(tmp_path / LAST)["global_step"] == 2 * epoch_count
    assert {path.name for path in tmp_path.iterdir()} == {BEST, LAST}
