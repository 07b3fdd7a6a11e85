"""The parts of the comparison of training that need no training."""

from __future__ import annotations

from argparse import Namespace

import pytest

from tests.benchmarks.training_speed import step_rows, time_loading

OPTIONS = Namespace(backbone="none", side=32, batch=8, steps=3)


@pytest.mark.slow
def test_batches_are_made_as_training_makes_them() -> None:
    times_s = time_loading(OPTIONS)
    assert len(times_s) == OPTIONS.steps and min(times_s) > 0


def test_every_way_is_told_beside_ours() -> None:
    rows = step_rows(OPTIONS, {"ours": 0.5, "plain timm": 1.0, "loading alone": 0.05})
    assert [row["of a step of ours"] for row in rows] == [1.0, 2.0, 0.1]
    assert rows[0]["photos a second"] == 16
