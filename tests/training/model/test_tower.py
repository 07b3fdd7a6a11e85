"""The head of a tower: a projection that can be set."""

import numpy as np
import pytest
import torch

from twinshelf.training.model.model_config import HeadConfig
from twinshelf.training.model.tower import build_head, set_projection


@pytest.mark.parametrize("direction_count", [2, 6], ids=["fewer", "more"])
def test_a_head_takes_another_projection(direction_count: int) -> None:
    generator = np.random.default_rng(0)
    mean, directions = generator.normal(size=5), generator.normal(size=(5, direction_count))
    features = generator.normal(size=(7, 5))
    head = build_head(5, 4, HeadConfig(dropout=0.5)).train()
    head(torch.randn(9, 5))  # moves the batch statistics
    set_projection(head, mean, directions)
    with torch.inference_mode():
        given = head.eval()(torch.from_numpy(features).float()).numpy()
    expected = ((features - mean) @ directions)[:, :4]
    np.testing.assert_allclose(given[:, : expected.shape[1]], expected, rtol=1e-3, atol=1e-4)
    assert not given[:, expected.shape[1] :].any()
