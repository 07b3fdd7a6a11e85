"""Plans that are tried fit the machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.benchmarks.tune import changes
from twinshelf.server.triton.plan import default_plan


@pytest.mark.parametrize("core_count", [1, 2, 4, 16])
def test_plans_that_are_tried_fit_the_cores(core_count: int) -> None:
    start = default_plan(core_count, has_gpu=False)
    for change in changes(core_count):
        plan = replace(start, **change)
        assert plan.image_instances * plan.image_threads <= core_count
        assert plan.text_instances * plan.text_threads <= core_count
