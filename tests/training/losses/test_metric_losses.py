"""Losses by name: the recipes on odd batches, and what is refused."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from twinshelf.training.config import RECIPES, named_files, read_config
from twinshelf.training.losses.loss_config import LossTermConfig, MinerConfig
from twinshelf.training.losses.metric_losses import build_term, check_terms

LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 3, 0, 2])
NAMES = tuple(named_files(RECIPES))


@cache  # reading takes a while, and not while tests are collected
def terms_of(name: str) -> Sequence[LossTermConfig]:
    return read_config([f"--config={name}"]).loss.terms


def random_rows(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return F.normalize(torch.randn(count, 3, generator=generator)).requires_grad_()


def has_finite_gradient(tensor: torch.Tensor) -> bool:
    return tensor.grad is not None and bool(tensor.grad.isfinite().all())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_passes_its_check(name: str) -> None:
    check_terms(terms_of(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [0]])
def test_batches_without_pairs_of_a_kind_have_a_finite_loss_and_gradient(
    name: str, labels: list[int]
) -> None:
    rows = random_rows(len(labels))
    for term in terms_of(name):
        loss = build_term(term, group_count=4, embedding_dim=3)(rows, torch.tensor(labels))
        loss.backward()
        assert loss.isfinite()
        assert has_finite_gradient(rows)


@pytest.mark.parametrize("name", NAMES)
def test_equal_rows_have_a_finite_gradient(name: str) -> None:
    rows = torch.ones(len(LABELS), 3).requires_grad_()
    for term in terms_of(name):
        build_term(term, group_count=4, embedding_dim=3)(rows, LABELS).backward()
        assert has_finite_gradient(rows)


def test_arcface_has_a_finite_gradient_at_a_centre() -> None:
    term = LossTermConfig(name="SteadyArcFaceLoss", options={"margin": 17, "scale": 30})
    loss = build_term(term, group_count=4, embedding_dim=5)
    (centres,) = loss.parameters()
    rows = F.normalize(centres.detach().T[LABELS]).requires_grad_()
    loss(rows, LABELS).backward()
    assert has_finite_gradient(rows)
    assert has_finite_gradient(centres)


def test_a_class_with_centres_gets_one_for_each_group() -> None:
    for name in ("NormalizedSoftmaxLoss", "ProxyAnchorLoss", "SubCenterArcFaceLoss"):
        loss = build_term(LossTermConfig(name=name), group_count=4, embedding_dim=5)
        assert loss(F.normalize(torch.randn(9, 5)), LABELS).isfinite()
        assert sum(weight.numel() for weight in loss.parameters()) % (4 * 5) == 0


def test_a_miner_chooses_what_counts() -> None:
    term = LossTermConfig(name="ContrastiveLoss", options={"pos_margin": 0.0, "neg_margin": 1.0})
    mined = replace(term, miner=MinerConfig(name="BatchHardMiner"))
    rows = random_rows(len(LABELS))
    values = [
        build_term(each, group_count=4, embedding_dim=3)(rows, LABELS) for each in (term, mined)
    ]
    assert values[1] > values[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "SupConLos"}, "no loss, miner or distance named 'SupConLos'"),
        ({"name": "nowhere.Loss"}, "no module 'nowhere' for 'nowhere.Loss'"),
        ({"name": "SupConLoss", "options": {"heat": 1}}, "SupConLoss does not take .*heat"),
        ({"name": "SupConLoss", "options": {"temperature": "hot"}}, "'hot'.* cannot be computed"),
        ({"name": "torch.nn.ReLU"}, "torch.nn.ReLU.* cannot be computed"),
        ({"name": "ContrastiveLoss", "miner": MinerConfig(name="X")}, "named 'X'"),
        ({"name": "ContrastiveLoss", "options": {"distance": {"name": "Far"}}}, "named 'Far'"),
    ],
)
def test_what_the_library_does_not_know_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_terms([LossTermConfig(**values)])
