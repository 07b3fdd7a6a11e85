"""What is told of the model: ranges, checked as it is read."""

from typing import Any

import pytest

from twinshelf.training.model.model_config import (
    HeadConfig,
    ImageBackboneConfig,
    ModelConfig,
    ScratchTextConfig,
)


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        (ImageBackboneConfig, {"name": ""}, "model.image.name must name"),
        (ImageBackboneConfig, {"drop_rate": 1.0}, "model.image.drop_rate must be 0 to below 1"),
        (ImageBackboneConfig, {"std": (0.5, 0.0, 0.5)}, "model.image.std must be above 0"),
        (ImageBackboneConfig, {"pretrained": True, "weights": "x.pth"}, "not both"),
        (ScratchTextConfig, {"width": 30, "head_count": 4}, "multiple of head_count"),
        (ScratchTextConfig, {"layer_count": 0}, "layer_count must be 1 or more, got 0"),
        (ScratchTextConfig, {"dropout": 1.0}, "scratch.dropout must be 0 to below 1"),
        (HeadConfig, {"dropout": 1.0}, "model.head.dropout must be 0 to below 1"),
        (ModelConfig, {"embedding_dim": 3}, "model.embedding_dim must be 8 to 4096, got 3"),
    ],
)
def test_values_out_of_range_are_refused(
    config: type[Any], values: dict[str, float | str | tuple[float, ...]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        config(**values)
