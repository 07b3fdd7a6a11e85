"""What is minimised: ranges, checked as it is read."""

import pytest

from twinshelf.training.config import config_from_yaml
from twinshelf.training.losses.loss_config import CrossModalConfig, LossConfig


def test_cross_modal_may_be_the_only_loss() -> None:
    assert LossConfig(terms=(), cross_modal=CrossModalConfig(weight=1.0)).terms == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("terms: [{name: X, weight: 0}]", "loss.terms.weight must be above 0, got 0"),
        ("streams: {image: -1}", "loss.streams.image must be 0 or more, got -1"),
        ("streams: {image: 0, text: 0, fused: 0}", "a weight above 0"),
        ("cross_modal: {weight: -1}", "cross_modal.weight must be 0 or more, got -1"),
        ("cross_modal: {temperature: 0.001}", "must be 0.01 or more, got 0.001"),
        ("modality_dropout: 0.6", "loss.modality_dropout must be 0 to 0.5, got 0.6"),
        ("terms: []", "loss needs a term"),
    ],
)
def test_values_out_of_range_are_refused(values: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_from_yaml(f"loss: {{{values}}}")
