"""The parts of the comparison of training that need no training."""

from __future__ import annotations

from argparse import Namespace

import pytest
import torch

from tests.benchmarks.training_speed import loop_config, step_rows, time_loading
from twinshelf.training.loop.trainer import resolve_precision

OPTIONS = Namespace(backbone="none", side=32, batch=8, steps=3)


@pytest.mark.slow
def test_batches_are_made_as_training_makes_them() -> None:
    times_s = time_loading(OPTIONS)
    assert len(times_s) == OPTIONS.steps and min(times_s) > 0


def test_every_way_is_told_beside_ours() -> None:
    rows = step_rows(OPTIONS, {"ours": 0.5, "plain timm": 1.0, "loading alone": 0.05})
    assert [row["of a step of ours"] for row in rows] == [1.0, 2.0, 0.1]
    assert rows[0]["photos a second"] == 16


def test_on_a_cpu_both_ways_compute_in_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert resolve_precision(loop_config()) == "32-true"
