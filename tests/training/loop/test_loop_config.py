"""What is told of the loop: ranges, checked as it is read."""

from typing import Any

import pytest

from twinshelf.training.loop.loop_config import FinishingConfig, LoopConfig, OptimizerConfig


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        (OptimizerConfig, {"head_lr": 0}, "optimizer.head_lr must be above 0, got 0"),
        (OptimizerConfig, {"image_lr": -1}, "optimizer.image_lr must be 0 or more, got -1"),
        (OptimizerConfig, {"warmup_share": 1.0}, "warmup_share must be 0 to below 1"),
        (OptimizerConfig, {"gradient_clip": -1}, "gradient_clip must be 0 or more, got -1"),
        (LoopConfig, {"epoch_count": 0}, "loop.epoch_count must be 1 or more, got 0"),
        (LoopConfig, {"device_count": 0}, "loop.device_count must be 1 or more, got 0"),
        (FinishingConfig, {"image_start_share": 1.0}, r"must be 0 to below 1, got 1\.0"),
        (FinishingConfig, {"image_head_shrinkage": 0.0}, "must be above 0 and at most 1"),
        (FinishingConfig, {"image_head_shrinkage": 1.5}, "must be above 0 and at most 1"),
    ],
)
def test_values_out_of_range_are_refused(
    config: type[Any], values: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        config(**values)
