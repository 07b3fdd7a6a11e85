"""Cross-modal contrast against a slow, obvious version, in value and gradient."""

import math

import pytest
import torch
import torch.nn.functional as F

from twinshelf.training.losses.cross_modal import CrossModalLoss
from twinshelf.training.losses.loss_config import CrossModalConfig, LossConfig
from twinshelf.training.losses.stream_losses import Stream, StreamLosses

LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 3])


def random_rows(seed: int) -> torch.Tensor:
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


def test_the_contrast_equals_the_loop_in_value_and_gradient() -> None:
    image, text = random_rows(0), random_rows(1)
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
    image, text = random_rows(2), random_rows(3)
    loss = CrossModalLoss(0.07).double()
    torch.testing.assert_close(loss(image, text, LABELS), loss(text, image, LABELS))


def test_the_scale_is_bounded() -> None:
    image, text = random_rows(4), random_rows(5)
    loss = CrossModalLoss(0.01).double()
    at_bound = loss(image, text, LABELS)
    loss.log_scale.data.fill_(math.log(500.0))
    torch.testing.assert_close(loss(image, text, LABELS), at_bound, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_rows_cost_nothing_and_still_give_gradients(count: int) -> None:
    image, text = random_rows(6), random_rows(7)
    loss = CrossModalLoss(0.07).double()
    value = loss(image[:count], text[:count], LABELS[:count])
    value.backward()
    assert value == 0
    assert loss.log_scale.grad == 0


def test_streams_contrast_the_rows_that_have_both() -> None:
    image, text = random_rows(8).float(), random_rows(9).float()
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
