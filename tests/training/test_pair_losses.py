"""Losses on pairs and triplets against slow, obvious versions, in value and gradient."""

import math

import pytest
import torch
import torch.nn.functional as F

from training.pair_losses import (
    ContrastiveConfig,
    CosineConfig,
    MultiSimilarityConfig,
    TripletConfig,
)

LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 3, 0, 2])


def random_rows(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(LABELS), 3, generator=generator, dtype=torch.float64)
    return rows.requires_grad_()


def others_and_likes(row: int) -> tuple[list[int], list[int]]:
    rest = [j for j in range(len(LABELS)) if j != row]
    likes = [j for j in rest if LABELS[j] == LABELS[row]]
    return [j for j in rest if j not in likes], likes


def mean(values: list[torch.Tensor]) -> torch.Tensor:
    return sum(values) / len(values)


def mean_above_zero(values: list[torch.Tensor]) -> torch.Tensor:
    return mean([value for value in values if value > 0])


def slow_triplet(rows: torch.Tensor, margin: float, miner: str) -> torch.Tensor:
    unit = F.normalize(rows)
    cosines = unit @ unit.T
    values = []
    for anchor in range(len(rows)):
        others, likes = others_and_likes(anchor)
        if not likes:
            continue
        if miner == "hardest":
            others = [max(others, key=lambda j: cosines[anchor, j])]
            likes = [min(likes, key=lambda j: cosines[anchor, j])]
        for like in likes:
            for other in others:
                lead = cosines[anchor, like] - cosines[anchor, other]
                if (miner == "hard" and lead > 0) or (miner == "semihard" and lead <= 0):
                    continue
                values.append(F.relu(margin - lead))
    return mean_above_zero(values)


def slow_multi_similarity(
    rows: torch.Tensor, alpha: float, beta: float, base: float, epsilon: float
) -> torch.Tensor:
    unit = F.normalize(rows)
    losses = []
    for row in range(len(rows)):
        others, likes = others_and_likes(row)
        cosine = {j: unit[row] @ unit[j] for j in others + likes}
        # Without a like there is nothing to be nearer than: the miner leaves the row out.
        hard_likes, hard_others = [], []
        if likes:
            nearest_other = max(cosine[j] for j in others)
            farthest_like = min(cosine[j] for j in likes)
            hard_likes = [j for j in likes if cosine[j] - epsilon < nearest_other]
            hard_others = [j for j in others if cosine[j] + epsilon > farthest_like]
        pull = sum((torch.exp(-alpha * (cosine[j] - base)) for j in hard_likes), start=0.0)
        push = sum((torch.exp(beta * (cosine[j] - base)) for j in hard_others), start=0.0)
        zero = torch.zeros((), dtype=rows.dtype)
        losses.append(torch.log1p(zero + pull) / alpha + torch.log1p(zero + push) / beta)
    return mean(losses)


def slow_contrastive(rows: torch.Tensor, margin: float) -> torch.Tensor:
    unit = F.normalize(rows)
    pull, push = [], []
    for row in range(len(rows)):
        others, likes = others_and_likes(row)
        pull += [(unit[row] - unit[j]).norm() for j in likes]
        push += [F.relu(margin - (unit[row] - unit[j]).norm()) for j in others]
    return mean_above_zero(pull) + mean_above_zero(push)


def slow_cosine(rows: torch.Tensor, margin: float) -> torch.Tensor:
    unit = F.normalize(rows)
    pull, push = [], []
    for row in range(len(rows)):
        others, likes = others_and_likes(row)
        pull += [1 - unit[row] @ unit[j] for j in likes]
        push += [F.relu(unit[row] @ unit[j] - margin) for j in others]
    return mean(pull) + mean(push)


CASES = {
    **{
        f"triplet-{miner}": (
            TripletConfig(margin=0.3, miner=miner),
            lambda rows, miner=miner: slow_triplet(rows, 0.3, miner),
            lambda rows, miner=miner: slow_triplet(rows, 0.5, miner),
        )
        for miner in ("all", "semihard", "hard", "hardest")
    },
    "multi_similarity": (
        MultiSimilarityConfig(alpha=3, beta=10, base=0.4, epsilon=0.2),
        lambda rows: slow_multi_similarity(rows, 3, 10, 0.4, 0.2),
        lambda rows: slow_multi_similarity(rows, 3, 10, 0.4, -0.5),
    ),
    "contrastive": (
        ContrastiveConfig(margin=0.9),
        lambda rows: slow_contrastive(rows, 0.9),
        lambda rows: slow_contrastive(rows, 1.2),
    ),
    "cosine": (
        CosineConfig(margin=0.1),
        lambda rows: slow_cosine(rows, 0.1),
        lambda rows: slow_cosine(rows, 0.4),
    ),
}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", CASES)
def test_a_loss_equals_the_loop_in_value_and_gradient(name, seed):
    config, slow, other = CASES[name]
    rows = random_rows(seed)
    fast = config.build(group_count=4, embedding_dim=3)(rows, LABELS)
    expected = slow(rows)
    (gradient,) = torch.autograd.grad(fast, rows)
    (expected_gradient,) = torch.autograd.grad(expected, rows)
    # Double precision; the library adds smallest numbers to divisors.
    torch.testing.assert_close(fast, expected, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(gradient, expected_gradient, atol=1e-7, rtol=1e-7)
    assert not math.isclose(fast.item(), other(rows).item(), abs_tol=1e-4)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [0]])
def test_batches_without_pairs_of_a_kind_have_a_finite_loss_and_gradient(name, labels):
    rows = random_rows(3).detach()[: len(labels)].float().requires_grad_()
    loss = CASES[name][0].build(group_count=4, embedding_dim=3)(rows, torch.tensor(labels))
    loss.backward()
    assert loss.isfinite()
    assert rows.grad.isfinite().all()


@pytest.mark.parametrize("name", CASES)
def test_equal_rows_have_a_finite_gradient(name):
    rows = torch.ones(len(LABELS), 3).requires_grad_()
    CASES[name][0].build(group_count=4, embedding_dim=3)(rows, LABELS).backward()
    assert rows.grad.isfinite().all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TripletConfig(margin=0), "triplet.margin must be above 0, got 0"),
        (lambda: TripletConfig(margin=2.1), "triplet.margin must be 0 to 2, got 2.1"),
        (lambda: MultiSimilarityConfig(beta=0), "multi_similarity.beta must be above 0"),
        (lambda: MultiSimilarityConfig(base=2), "multi_similarity.base must be -1 to 1, got 2"),
        (lambda: ContrastiveConfig(margin=3), "contrastive.margin must be 0 to 2, got 3"),
        (lambda: CosineConfig(margin=1), "cosine.margin must be -1 to 0.999, got 1"),
        (lambda: CosineConfig(weight=-1), "cosine.weight must be 0 or more, got -1"),
    ],
)
def test_values_out_of_range_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
