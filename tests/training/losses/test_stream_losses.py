"""The loss of each stream: its weight, its rows, and its gradients."""

import pytest
import torch
import torch.nn.functional as F

from twinshelf.training.losses.loss_config import LossConfig, LossTermConfig, StreamWeights
from twinshelf.training.losses.stream_losses import Stream, StreamLosses, drop_modalities

SUPCON = LossTermConfig(name="SupConLoss", options={"temperature": 0.1}, weight=1.5)
ARCFACE = LossTermConfig(name="SteadyArcFaceLoss", weight=0.25)
LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 3])


def random_rows(count: int, dim: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator, dtype=torch.float64)


def make_streams(present: dict[str, torch.Tensor]) -> dict[str, Stream]:
    return {
        name: Stream(
            embeddings=F.normalize(random_rows(7, dim, seed=dim).float()).requires_grad_(),
            present=present[name],
        )
        for name, dim in (("image", 4), ("text", 4), ("fused", 8))
    }


def test_total_is_the_weighted_sum_over_streams_and_losses() -> None:
    everything = torch.ones(7, dtype=torch.bool)
    config = LossConfig(
        streams=StreamWeights(image=0.5, text=0.0, fused=2.0),
        terms=(ARCFACE, SUPCON),
    )
    losses = StreamLosses(config, group_count=4, embedding_dims={"image": 4, "text": 4, "fused": 8})
    streams = make_streams({"image": everything, "text": everything, "fused": everything})
    values = losses(streams, LABELS)
    assert set(values) == {"image", "fused", "total"}
    expected = {}
    for name in ("image", "fused"):
        rows = streams[name].embeddings
        arcface, supcon = losses.terms[name].children()
        expected[name] = 0.25 * arcface(rows, LABELS) + 1.5 * supcon(rows, LABELS)
        torch.testing.assert_close(values[name], expected[name])
    torch.testing.assert_close(values["total"], 0.5 * expected["image"] + 2 * expected["fused"])


def test_rows_without_the_modality_get_no_gradient() -> None:
    present = torch.tensor([True, True, True, True, False, True, False])
    everything = torch.ones(7, dtype=torch.bool)
    losses = StreamLosses(
        LossConfig(), group_count=4, embedding_dims={"image": 4, "text": 4, "fused": 8}
    )
    streams = make_streams({"image": present, "text": everything, "fused": everything})
    losses(streams, LABELS)["total"].backward()
    gradient = streams["image"].embeddings.grad
    assert gradient is not None
    assert not gradient[~present].any()
    assert gradient[present][:4].any(dim=1).all()


def test_a_stream_without_rows_still_gives_every_weight_a_gradient() -> None:
    nothing, everything = torch.zeros(7, dtype=torch.bool), torch.ones(7, dtype=torch.bool)
    config = LossConfig(terms=(ARCFACE,))
    losses = StreamLosses(config, group_count=4, embedding_dims={"image": 4, "text": 4, "fused": 8})
    streams = make_streams({"image": nothing, "text": everything, "fused": everything})
    values = losses(streams, LABELS)
    values["total"].backward()
    assert values["image"] == 0
    assert all(weight.grad is not None for weight in losses.parameters())


def test_modality_dropout_leaves_every_row_a_modality() -> None:
    has_image = torch.rand(4000, generator=torch.Generator().manual_seed(3)) < 0.8
    has_text = ~has_image | (torch.rand(4000, generator=torch.Generator().manual_seed(4)) < 0.8)
    image, text = drop_modalities(has_image, has_text, 0.25, torch.Generator().manual_seed(5))
    assert (image | text).all()
    assert not (image & ~has_image).any() and not (text & ~has_text).any()
    both = has_image & has_text
    # A share of 0.25 over more than 2000 rows has a standard error below 0.01.
    assert (~image[both]).float().mean().item() == pytest.approx(0.25, abs=0.04)
    assert (~text[both]).float().mean().item() == pytest.approx(0.25, abs=0.04)
