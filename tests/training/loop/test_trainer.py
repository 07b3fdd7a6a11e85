"""The trainer of a run: which epochs it saves, and the memory that it keeps."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.optim.sgd import SGD
from torch.utils.data import DataLoader, TensorDataset

from twinshelf.training.loop.loop_config import LoopConfig
from twinshelf.training.loop.trainer import (
    BEST,
    LAST,
    MONITORED,
    build_trainer,
    resolve_precision,
)

pytestmark = pytest.mark.slow


class Worsening(L.LightningModule):
    """A module whose every validation is worse than the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[torch.Tensor], batch_number: int) -> torch.Tensor:
        return self.layer(batch[0]).mean()

    def validation_step(self, batch: list[torch.Tensor], batch_number: int) -> None:
        self.log(MONITORED, -float(self.current_epoch))

    def configure_optimizers(self) -> SGD:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder: Path, *, epoch_count: int, resume: Path | None = None) -> None:
    config = LoopConfig(epoch_count=epoch_count, accelerator="cpu", loggers=(), show_progress=False)
    trainer = build_trainer(config, folder=folder, gradient_clip=0.0, with_validation=True)
    batches = DataLoader(TensorDataset(torch.ones(2, 1)))
    trainer.fit(Worsening(), batches, batches, ckpt_path=resume)


def test_the_last_epoch_is_saved_though_an_earlier_one_is_better(tmp_path: Path) -> None:
    for epoch_count, resume in ((3, None), (5, tmp_path / LAST)):
        fit(tmp_path, epoch_count=epoch_count, resume=resume)
        # Epochs are counted from 0 in a checkpoint.
        assert torch.load(tmp_path / LAST)["epoch"] == epoch_count - 1
        assert torch.load(tmp_path / BEST)["epoch"] == 0
        assert torch.load(tmp_path / LAST)["global_step"] == 2 * epoch_count
    assert {path.name for path in tmp_path.iterdir()} == {BEST, LAST}


def test_torchrun_and_the_configuration_agree_on_the_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "2"), ("RANK", "0"),
                        ("LOCAL_RANK", "0"), ("MASTER_ADDR", "localhost"),
                        ("MASTER_PORT", "29500")):  # fmt: skip
        monkeypatch.setenv(name, value)
    options: dict[str, Any] = {"accelerator": "cpu", "loggers": (), "show_progress": False}
    given: dict[str, Any] = {"folder": tmp_path, "gradient_clip": 0.0, "with_validation": False}
    for strategy in ("auto", "ddp"):
        with pytest.raises(ValueError, match="torchrun started 2 processes, but .* is of 1"):
            build_trainer(LoopConfig(strategy=strategy, **options), **given)
    assert build_trainer(LoopConfig(device_count=2, **options), **given).num_devices == 2


@pytest.mark.parametrize(
    ("capabilities", "given", "expected"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, "auto", "bf16-mixed"),
        ({"amx_bf16": False, "avx512_bf16": True}, "auto", "bf16-mixed"),
        ({"amx_bf16": False, "avx512_bf16": False}, "auto", "32-true"),
        ({}, "auto", "32-true"),
        ({"amx_bf16": True}, "32-true", "32-true"),
        ({}, "bf16-mixed", "bf16-mixed"),
    ],
)
def test_a_cpu_mixes_in_16_bits_where_that_is_faster(
    capabilities: dict[str, bool], given: Any, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolve_precision(LoopConfig(accelerator="cpu", precision=given)) == expected


# In a process of its own, as it holds for good.
KEEPING = """
import resource
import torch
from twinshelf.training.loop.trainer import keep_freed_memory

def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

def kept_mib():
    before = resident_mib()
    activation = torch.ones(64 * 2**20)  # 256 MiB
    del activation
    return resident_mib() - before

default_mib = kept_mib()
assert keep_freed_memory()
print(default_mib, kept_mib())
"""


def test_a_large_tensor_is_given_back_by_default_and_kept_when_told() -> None:
    command = [sys.executable, "-c", KEEPING]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    default_mib, kept_mib = map(float, printed.split())
    assert default_mib < 100
    assert kept_mib > 200
