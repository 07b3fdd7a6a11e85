"""The loss of each stream: its weight, its rows, and its gradients."""

import math

import pytest
import torch
import torch.nn.functional as F

from twinshelf.training.losses.loss_config import (
    CrossModalConfig,
    LossConfig,
    LossTermConfig,
    StreamWeights,
)
from twinshelf.training.losses.stream_losses import (
    CrossModalLoss,
    Stream,
    StreamLosses,
    drop_modalities,
)

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


def test_a_stream_without_a_weight_still_gives_its_tower_a_gradient() -> None:
    everything = torch.ones(7, dtype=torch.bool)
    config = LossConfig(streams=StreamWeights(image=0.0, text=1.0, fused=0.0), terms=(SUPCON,))
    losses = StreamLosses(config, group_count=4, embedding_dims={"image": 4, "text": 4, "fused": 8})
    streams = make_streams({"image": everything, "text": everything, "fused": everything})
    losses(streams, LABELS)["total"].backward()
    for name in ("image", "fused"):
        gradient = streams[name].embeddings.grad
        assert gradient is not None
        assert not gradient.any()


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


LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 3])


def unit_rows(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(LABELS), 5, generator=generator, dtype=torch.float64)
    return F.normalize(rows).requires_grad_()


def slow_contrast(
    image: torch.Tensor,
    text: torch.Tensor,
    labels: torch.Tensor,
    log_scale: torch.Tensor,
    *,
    with_group: bool = False,
) -> torch.Tensor:
    losses = []
    for asked, answers in ((image, text), (text, image)):
        for row in range(len(labels)):
            terms = [
                torch.exp(log_scale.exp() * (asked[row] @ answers[j]))
                for j in range(len(labels))
                if j == row or with_group or labels[j] != labels[row]
            ]
            right = torch.exp(log_scale.exp() * (asked[row] @ answers[row]))
            losses.append(-torch.log(right / sum(terms)))
    return torch.stack(losses).mean()


def test_a_scale_at_its_limit_still_learns() -> None:
    loss = CrossModalLoss(0.01)
    loss(unit_rows(0).float(), unit_rows(1).float(), LABELS).backward()
    assert loss.log_scale.grad is not None and loss.log_scale.grad.abs() > 0


def test_the_contrast_equals_the_loop_in_value_and_gradient() -> None:
    image, text = unit_rows(0), unit_rows(1)
    loss = CrossModalLoss(0.3).double()
    moved = [image, text, loss.log_scale]
    fast = loss(image, text, LABELS)
    slow = slow_contrast(image, text, LABELS, loss.log_scale)
    torch.testing.assert_close(fast, slow, atol=1e-10, rtol=1e-10)
    gradients = zip(torch.autograd.grad(fast, moved), torch.autograd.grad(slow, moved), strict=True)
    for ours, theirs in gradients:
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)
    with_group = slow_contrast(image, text, LABELS, loss.log_scale, with_group=True)
    assert not torch.allclose(fast, with_group, atol=1e-2)


def test_images_and_texts_may_be_exchanged() -> None:
    image, text = unit_rows(2), unit_rows(3)
    loss = CrossModalLoss(0.07).double()
    torch.testing.assert_close(loss(image, text, LABELS), loss(text, image, LABELS))


def test_the_scale_is_bounded() -> None:
    image, text = unit_rows(4), unit_rows(5)
    loss = CrossModalLoss(0.01).double()
    at_bound = loss(image, text, LABELS)
    loss.log_scale.data.fill_(math.log(500.0))
    torch.testing.assert_close(loss(image, text, LABELS), at_bound, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_rows_cost_nothing_and_still_give_gradients(count: int) -> None:
    image, text = unit_rows(6), unit_rows(7)
    loss = CrossModalLoss(0.07).double()
    value = loss(image[:count], text[:count], LABELS[:count])
    value.backward()
    assert value == 0
    assert loss.log_scale.grad == 0


def test_streams_contrast_the_rows_that_have_both() -> None:
    image, text = unit_rows(8).float(), unit_rows(9).float()
    has_image = torch.tensor([True, True, True, False, True, True, True])
    has_text = torch.tensor([True, False, True, True, True, True, True])
    config = LossConfig(cross_modal=CrossModalConfig(weight=2.0, temperature=0.3))
    losses = StreamLosses(config, group_count=4, embedding_dims={"image": 5, "text": 5, "fused": 5})
    streams = {
        "image": Stream(embeddings=image, present=has_image),
        "text": Stream(embeddings=text, present=has_text),
        "fused": Stream(embeddings=image, present=has_image | has_text),
    }
    values = losses(streams, LABELS)
    both = has_image & has_text
    log_scale = torch.tensor(math.log(1 / 0.3))
    expected = slow_contrast(image[both], text[both], LABELS[both], log_scale)
    torch.testing.assert_close(values["cross_modal"], expected)
    rest = values["image"] + values["text"] + values["fused"]
    torch.testing.assert_close(values["total"], rest + 2.0 * expected)
