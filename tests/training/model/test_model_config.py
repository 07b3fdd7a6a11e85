"""What is told of the model: ranges, checked as it is read."""

import pytest

from twinshelf.training.config import config_from_yaml

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("image: {name: ''}", "model.image.name must name"),
        ("image: {drop_rate: 1.0}", "model.image.drop_rate must be 0 to below 1"),
        ("image: {std: [0.5, 0.0, 0.5]}", "model.image.std must be above 0"),
        ("image: {pretrained: true, weights: x.pth}", "not both"),
        ("text: {scratch: {width: 30, head_count: 4}}", "multiple of head_count"),
        ("text: {scratch: {head_count: 0}}", "scratch.head_count must be 1 or more, got 0"),
        ("text: {scratch: {layer_count: 0}}", "layer_count must be 1 or more, got 0"),
        ("text: {scratch: {dropout: 1.0}}", "model.text.scratch.dropout must be 0 to below 1"),
        ("head_dropout: 1.0", "model.head_dropout must be 0 to below 1"),
        ("embedding_dim: 3", "model.embedding_dim must be 8 to 4096, got 3"),
    ],
)
def test_values_out_of_range_are_refused(values: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_from_yaml(f"model: {{{values}}}")
