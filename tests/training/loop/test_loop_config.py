"""What is told of the loop: ranges, checked as it is read."""

import pytest

from twinshelf.training.config import config_from_yaml

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("optimizer.head_lr", 0.0, "above 0, got 0"),
        ("optimizer.image_lr", -1.0, "0 or more, got -1"),
        ("optimizer.warmup_share", 1.0, "0 to below 1"),
        ("optimizer.gradient_clip", -1.0, "0 or more, got -1"),
        ("loop.epoch_count", 0, "1 or more, got 0"),
        ("loop.device_count", 0, "1 or more, got 0"),
        ("finishing.image_start_share", 1.0, r"0 to below 1, got 1\.0"),
        ("finishing.image_head_shrinkage", 0.0, "above 0 and at most 1"),
        ("finishing.image_head_shrinkage", 1.5, "above 0 and at most 1"),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be {message}"):
        config_from_yaml(f"{name}: {value}")
