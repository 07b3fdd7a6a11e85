"""What is minimised: ranges, checked as it is read."""

from collections.abc import Callable
from typing import Any

import pytest

from twinshelf.training.losses.loss_config import (
    CrossModalConfig,
    LossConfig,
    LossTermConfig,
    StreamWeights,
)


def test_cross_modal_may_be_the_only_loss() -> None:
    assert LossConfig(terms=(), cross_modal=CrossModalConfig(weight=1.0)).terms == ()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LossTermConfig(name="X", weight=0), "X.weight must be above 0, got 0"),
        (lambda: StreamWeights(image=-1), "loss.streams.image must be 0 or more, got -1"),
        (lambda: StreamWeights(image=0, text=0, fused=0), "a weight above 0"),
        (lambda: CrossModalConfig(weight=-1), "cross_modal.weight must be 0 or more, got -1"),
        (
            lambda: CrossModalConfig(temperature=0.001),
            "must be 0.01 or more, got 0.001",
        ),
        (lambda: LossConfig(modality_dropout=0.6), "0 to 0.5, got 0.6"),
        (lambda: LossConfig(terms=()), "loss needs a term"),
    ],
)
def test_values_out_of_range_are_refused(build: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
