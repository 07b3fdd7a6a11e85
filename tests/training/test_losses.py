"""The losses against slow, obvious versions, in value and gradient."""

import math

import pytest
import torch
import torch.nn.functional as F

from training.losses import (
    ArcFaceConfig,
    ClassificationConfig,
    LossConfig,
    Stream,
    StreamLosses,
    StreamWeights,
    SupConConfig,
    drop_modalities,
)

LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 3])


def random_rows(count: int, dim: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator, dtype=torch.float64)


def slow_supcon(rows: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    unit = F.normalize(rows)
    losses = []
    for i in range(len(rows)):
        others = [j for j in range(len(rows)) if j != i]
        positives = [j for j in others if labels[j] == labels[i]]
        if not positives:
            continue
        everything = sum(torch.exp(unit[i] @ unit[j] / temperature) for j in others)
        terms = [
            torch.log(torch.exp(unit[i] @ unit[j] / temperature) / everything) for j in positives
        ]
        losses.append(-sum(terms) / len(terms))
    return sum(losses) / len(losses)


def slow_arcface(
    rows: torch.Tensor, labels: torch.Tensor, centres: torch.Tensor, degrees: float, scale: float
) -> torch.Tensor:
    losses = []
    for row, label in zip(rows, labels.tolist(), strict=True):
        logits = []
        for number in range(centres.shape[1]):
            cosine = F.normalize(row, dim=0) @ F.normalize(centres[:, number], dim=0)
            if number == label:
                cosine = torch.cos(torch.acos(cosine) + math.radians(degrees))
            logits.append(scale * cosine)
        losses.append(torch.logsumexp(torch.stack(logits), dim=0) - logits[label])
    return sum(losses) / len(losses)


def test_supcon_equals_the_loop_in_value_and_gradient():
    rows = random_rows(7, 5).requires_grad_()
    loss = SupConConfig(temperature=0.2).build(group_count=4, embedding_dim=5)
    fast = loss(rows, LABELS)
    (fast_gradient,) = torch.autograd.grad(fast, rows)
    slow = slow_supcon(rows, LABELS, 0.2)
    (slow_gradient,) = torch.autograd.grad(slow, rows)
    # Double precision; the library adds a smallest number to divisors.
    torch.testing.assert_close(fast, slow, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(fast_gradient, slow_gradient, atol=1e-7, rtol=1e-7)
    assert not torch.allclose(fast, slow_supcon(rows, LABELS, 0.3), atol=1e-3)


def test_supcon_over_pairs_is_in_batch_cross_entropy_both_ways():
    queries, products = F.normalize(random_rows(4, 5, seed=1)), F.normalize(random_rows(4, 5))
    loss = SupConConfig(temperature=0.2).build(group_count=4, embedding_dim=5)
    losses = []
    for ours, theirs in ((queries, products), (products, queries)):
        for i in range(4):
            # The row of its own pair against those of the others, and its own side but itself.
            negatives = [theirs[j] for j in range(4) if j != i]
            negatives += [ours[j] for j in range(4) if j != i]
            logits = torch.stack([ours[i] @ row for row in (theirs[i], *negatives)]) / 0.2
            losses.append(F.cross_entropy(logits[None], torch.tensor([0])))
    rows = torch.stack([queries, products], dim=1).flatten(0, 1)  # pair by pair, as sampled
    fast = loss(rows, torch.arange(4).repeat_interleave(2))
    # Double precision; the library adds a smallest number to divisors.
    torch.testing.assert_close(fast, sum(losses) / 8, atol=1e-7, rtol=1e-7)


def test_arcface_equals_the_loop_in_value_and_gradient():
    rows = random_rows(7, 5, seed=1).requires_grad_()
    loss = ArcFaceConfig(weight=1.0, margin_degrees=20, scale=8).build(
        group_count=4, embedding_dim=5
    )
    loss.W.data = random_rows(5, 4, seed=2)
    fast = loss(rows, LABELS)
    fast_gradients = torch.autograd.grad(fast, [rows, loss.W])
    slow = slow_arcface(rows, LABELS, loss.W, 20, 8)
    slow_gradients = torch.autograd.grad(slow, [rows, loss.W])
    torch.testing.assert_close(fast, slow, atol=1e-9, rtol=1e-9)
    for ours, theirs in zip(fast_gradients, slow_gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)
    assert not torch.allclose(fast, slow_arcface(rows, LABELS, loss.W, 10, 8), atol=1e-3)


def test_classification_equals_the_loop_in_value_and_gradient():
    rows = F.normalize(random_rows(7, 5, seed=3)).requires_grad_()
    loss = ClassificationConfig(temperature=0.2).build(group_count=4, embedding_dim=5)
    loss.W.data = random_rows(5, 4, seed=4)
    fast = loss(rows, LABELS)
    slow = slow_arcface(rows, LABELS, loss.W, 0, 5)
    torch.testing.assert_close(fast, slow, atol=1e-9, rtol=1e-9)
    gradients = [torch.autograd.grad(value, [rows, loss.W]) for value in (fast, slow)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)
    assert not torch.allclose(fast, slow_arcface(rows, LABELS, loss.W, 0, 6), atol=1e-3)


def test_arcface_has_a_finite_gradient_at_a_centre():
    loss = ArcFaceConfig(weight=1.0).build(group_count=4, embedding_dim=5)
    rows = F.normalize(loss.W.detach().T[LABELS]).requires_grad_()
    loss(rows, LABELS).backward()
    assert rows.grad.isfinite().all()
    assert loss.W.grad.isfinite().all()


def make_streams(present: dict[str, torch.Tensor]) -> dict[str, Stream]:
    return {
        name: Stream(
            embeddings=F.normalize(random_rows(7, dim, seed=dim).float()).requires_grad_(),
            present=present[name],
        )
        for name, dim in (("image", 4), ("text", 4), ("fused", 8))
    }


def test_total_is_the_weighted_sum_over_streams_and_losses():
    everything = torch.ones(7, dtype=torch.bool)
    config = LossConfig(
        streams=StreamWeights(image=0.5, text=0.0, fused=2.0),
        arcface=ArcFaceConfig(weight=0.25),
        supcon=SupConConfig(weight=1.5),
    )
    losses = StreamLosses(config, group_count=4, embedding_dims={"image": 4, "text": 4, "fused": 8})
    streams = make_streams({"image": everything, "text": everything, "fused": everything})
    values = losses(streams, LABELS)
    assert set(values) == {"image", "fused", "total"}
    expected = {}
    for name in ("image", "fused"):
        rows = streams[name].embeddings
        parts = losses.parts[name]
        expected[name] = 0.25 * parts["arcface"](rows, LABELS) + 1.5 * parts["supcon"](rows, LABELS)
        torch.testing.assert_close(values[name], expected[name])
    torch.testing.assert_close(values["total"], 0.5 * expected["image"] + 2 * expected["fused"])


def test_rows_without_the_modality_get_no_gradient():
    present = torch.tensor([True, True, True, True, False, True, False])
    everything = torch.ones(7, dtype=torch.bool)
    losses = StreamLosses(
        LossConfig(), group_count=4, embedding_dims={"image": 4, "text": 4, "fused": 8}
    )
    streams = make_streams({"image": present, "text": everything, "fused": everything})
    losses(streams, LABELS)["total"].backward()
    gradient = streams["image"].embeddings.grad
    assert not gradient[~present].any()
    assert gradient[present][:4].any(dim=1).all()


def test_a_stream_without_rows_still_gives_every_weight_a_gradient():
    nothing, everything = torch.zeros(7, dtype=torch.bool), torch.ones(7, dtype=torch.bool)
    config = LossConfig(arcface=ArcFaceConfig(weight=1.0))
    losses = StreamLosses(config, group_count=4, embedding_dims={"image": 4, "text": 4, "fused": 8})
    streams = make_streams({"image": nothing, "text": everything, "fused": everything})
    values = losses(streams, LABELS)
    values["total"].backward()
    assert values["image"] == 0
    assert all(weight.grad is not None for weight in losses.parameters())


def test_modality_dropout_leaves_every_row_a_modality():
    has_image = torch.rand(4000, generator=torch.Generator().manual_seed(3)) < 0.8
    has_text = ~has_image | (torch.rand(4000, generator=torch.Generator().manual_seed(4)) < 0.8)
    image, text = drop_modalities(has_image, has_text, 0.25, torch.Generator().manual_seed(5))
    assert (image | text).all()
    assert not (image & ~has_image).any() and not (text & ~has_text).any()
    both = has_image & has_text
    # A share of 0.25 over more than 2000 rows has a standard error below 0.01.
    assert (~image[both]).float().mean().item() == pytest.approx(0.25, abs=0.04)
    assert (~text[both]).float().mean().item() == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ArcFaceConfig(margin_degrees=91), "margin_degrees must be 0 to 90, got 91"),
        (lambda: SupConConfig(temperature=0), "temperature must be above 0"),
        (lambda: ClassificationConfig(temperature=0), "classification.temperature must be above 0"),
        (lambda: SupConConfig(weight=-1), "weight must be 0 or more"),
        (lambda: StreamWeights(image=0, text=0, fused=0), "a weight above 0"),
        (lambda: LossConfig(modality_dropout=0.6), "0 to 0.5, got 0.6"),
        (lambda: LossConfig(supcon=SupConConfig(weight=0)), "a part with a weight above 0"),
    ],
)
def test_values_out_of_range_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
