"""Plans that are tried fit the machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.perf_analyzer import PerfAnalyzer
from tests.benchmarks.tune import Curve, Tuner, changes
from twinshelf.server.triton.plan import ServingPlan, default_plan
from twinshelf.server.triton.process import TritonStartError


@pytest.mark.parametrize("core_count", [1, 2, 4, 16])
def test_plans_that_are_tried_fit_the_cores(core_count: int) -> None:
    start = default_plan(core_count, has_gpu=False)
    for change in changes(core_count):
        plan = replace(start, **change)
        assert plan.image_instances * plan.image_threads <= core_count
        assert plan.text_instances * plan.text_threads <= core_count


class MadeTuner(Tuner):
    """Measures nothing; plans with one process that decodes do not start."""

    def curve(self, plan: ServingPlan) -> Curve:
        if plan.decoder_instances == 1:
            raise TritonStartError("no memory")
        reached = (1.0, 2.0, 10.0 * plan.text_instances)
        self._known[plan] = Curve(plan=plan, offers_per_s=reached, p50_ms=reached, p99_ms=reached)
        return self._known[plan]


def test_a_plan_that_does_not_start_is_left_out() -> None:
    tuner = MadeTuner(Path(), 1, PerfAnalyzer(binary=Path()), Path(), Path())
    best = tuner.tune(default_plan(2, has_gpu=False), 2, 24)
    assert best.plan.text_instances == 2
    assert [plan.decoder_instances for plan in tuner.failures] == [1]
    assert list(tuner.failures.values()) == ["no memory"]
    delays = {curve.plan.queue_delay_us for curve in tuner.measured()}
    assert delays == {0, 100, 500, 2000}  # those that were tried after it
