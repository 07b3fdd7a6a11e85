"""What is told of the data: ranges, checked as it is read."""

import pytest

from twinshelf.training.config import config_from_yaml

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data.validation_share", 0.6),
        ("data.worker_count", -1),
        ("data.embedding_batch_size", 0),
        ("sampler.groups_per_batch", 1),
        ("sampler.rows_per_group", 1),
        ("sampler.similar_share", 1.5),
        ("sampler.size_power", 1.5),
        ("augmentation.image.smallest_crop", 0.0),
        ("augmentation.image.flip", 2.0),
        ("augmentation.image.hue", 0.6),
        ("augmentation.image.rotation_degrees", 200.0),
        ("augmentation.image.size_px", 4),
        ("augmentation.text.typo", 2.0),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be .*got {value}$"):
        config_from_yaml(f"{name}: {value}")
