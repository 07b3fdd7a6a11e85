"""What is told of the data: ranges, checked as it is read."""

from typing import Any

import pytest

from twinshelf.training.data.data_config import (
    DataConfig,
    ImageAugmentationConfig,
    SamplerConfig,
    TextAugmentationConfig,
)


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (DataConfig, {"validation_share": 0.6}),
        (DataConfig, {"worker_count": -1}),
        (DataConfig, {"embedding_batch_size": 0}),
        (SamplerConfig, {"groups_per_batch": 1}),
        (SamplerConfig, {"rows_per_group": 1}),
        (SamplerConfig, {"similar_share": 1.5}),
        (SamplerConfig, {"size_power": 1.5}),
        (ImageAugmentationConfig, {"smallest_crop": 0}),
        (ImageAugmentationConfig, {"flip": 2}),
        (ImageAugmentationConfig, {"hue": 0.6}),
        (ImageAugmentationConfig, {"rotation_degrees": 200}),
        (ImageAugmentationConfig, {"size_px": 4}),
        (TextAugmentationConfig, {"typo": 2}),
    ],
)
def test_values_out_of_range_are_refused(config: type[Any], values: dict[str, float]) -> None:
    ((name, value),) = values.items()
    with pytest.raises(ValueError, match=rf"{name} must be .*got {value}"):
        config(**values)
