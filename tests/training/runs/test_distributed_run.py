"""A whole run by two processes on the CPU: one report, one set of checkpoints, one encoder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.small_catalogue import small_options, write_small_catalogue
from twinshelf.training.checkpoint import load_encoder

pytestmark = pytest.mark.slow


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m")


@pytest.mark.parametrize("launcher", [(), TORCHRUN], ids=["lightning", "torchrun"])
def test_two_processes_train_one_encoder(tmp_path: Path, launcher: tuple[str, ...]) -> None:
    write_small_catalogue(tmp_path / "data")
    options = small_options(tmp_path, "--loop.device_count=2", "--loop.strategy=ddp")
    command = [sys.executable, "-m", *launcher, "twinshelf.training.train", *options]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("saved in") == 1
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["epoch_count"] == 1
    checkpoints = sorted(path.name for path in (tmp_path / "run").rglob("*.ckpt"))
    assert checkpoints == ["best.ckpt", "last.ckpt"]
    assert load_encoder(tmp_path / "run").model.fusion.plain_weight() == pytest.approx(
        metrics["fusion_weight"]
    )
