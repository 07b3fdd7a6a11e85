"""The optimizer: every weight once, at its own learning rate; what is frozen stays."""

from typing import Any, Literal

import pytest
import torch

from twinshelf.training.data.data_module import Batch
from twinshelf.training.loop.loop_config import OptimizerConfig
from twinshelf.training.loop.module import (
    EncoderModule,
    build_optimizer,
    freeze_backbones,
    set_training_modes,
    warn_of_folded_norms,
)
from twinshelf.training.losses.loss_config import LossConfig
from twinshelf.training.model.encoder import FusedEncoder, build_encoder
from twinshelf.training.model.model_config import (
    ImageBackboneConfig,
    ModelConfig,
    ScratchTextConfig,
)
from twinshelf.training.model.text_backbone import scratch_architecture


@pytest.fixture
def model() -> FusedEncoder:
    architecture = scratch_architecture(
        ScratchTextConfig(width=16, layer_count=1, head_count=2),
        vocabulary_size=50,
        max_token_count=16,
    )
    config = ModelConfig(image=ImageBackboneConfig(name="test_efficientnet"), embedding_dim=12)
    return build_encoder(config, image_size_px=32, architecture=architecture)


def test_every_weight_is_in_one_group_with_its_rate_and_decay(model: FusedEncoder) -> None:
    centres = torch.nn.Linear(3, 4)
    config = OptimizerConfig(head_lr=1.0, image_lr=0.1, text_lr=0.2, weight_decay=0.5)
    found = {}
    for group in build_optimizer(model, centres, config).param_groups:
        for weight in group["params"]:
            assert id(weight) not in found
            found[id(weight)] = (group["lr"], group["weight_decay"])
    assert len(found) == len([*model.parameters(), *centres.parameters()])
    for part, lr in (
        (model.image_tower.backbone, 0.1),
        (model.text_tower.backbone, 0.2),
        (model.image_tower.head, 1.0),
    ):
        for weight in part.parameters():
            assert found[id(weight)] == (lr, 0.5 if weight.ndim > 1 else 0.0)
    assert found[id(centres.weight)] == (1.0, 0.0)


def test_a_rate_of_zero_freezes_the_backbone_but_not_its_head(model: FusedEncoder) -> None:
    config = OptimizerConfig(image_lr=0.0)
    freeze_backbones(model, config)
    set_training_modes(model, config)
    assert not any(w.requires_grad for w in model.image_tower.backbone.parameters())
    assert all(w.requires_grad for w in model.image_tower.head.parameters())
    assert not model.image_tower.backbone.training and model.text_tower.backbone.training
    groups = build_optimizer(model, torch.nn.Identity(), config).param_groups
    assert all(group["lr"] > 0 for group in groups)


@pytest.mark.parametrize("mode", ["moving", "fixed"])
def test_fixed_statistics_stay_while_the_rest_trains(
    model: FusedEncoder, mode: Literal["moving", "fixed"]
) -> None:
    set_training_modes(model, OptimizerConfig(image_batch_norm_mode=mode))
    backbone = model.image_tower.backbone
    norms = [part for part in backbone.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    mean = norms[0].running_mean
    assert mean is not None
    before = mean.clone()
    model.image_tower(torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8))
    assert torch.equal(mean, before) == (mode == "fixed")
    assert backbone.training
    assert model.text_tower.backbone.training


def test_weights_with_folded_norms_are_told_of_unless_they_are_fixed(
    model: FusedEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    def complaints(**options: Any) -> int:
        caplog.clear()
        warn_of_folded_norms(model, OptimizerConfig(**options))
        return len(caplog.records)

    assert complaints() == 1
    assert complaints(image_batch_norm_mode="fixed") == complaints(image_lr=0.0) == 0
    model.image_tower.backbone.train()
    model.image_tower(torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8))
    assert complaints() == 0


def test_a_batch_without_photos_costs_two_blank_ones(model: FusedEncoder) -> None:
    optimizer = OptimizerConfig()
    module = EncoderModule(model, loss=LossConfig(), optimizer=optimizer, group_count=2, seed=0)
    sizes: list[int] = []
    model.image_tower.register_forward_pre_hook(lambda tower, rows: sizes.append(len(rows[0])))
    for shown in ([], [4], [1, 4]):
        has_image = torch.zeros(6, dtype=torch.bool)
        has_image[shown] = True
        pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
        ids = torch.ones(6, 4, dtype=torch.int64)
        image, text = module.embed(Batch(pixels, has_image, ids, ids, ids[:, 0] > 0, ids[:, 0]))
        assert image.shape == text.shape == (6, 12)
        assert image.any(dim=1).nonzero()[:, 0].tolist() == shown
        module.zero_grad()
        image.sum().backward()
        assert all(weight.grad is not None for weight in model.image_tower.parameters())
    assert sizes == [2, 2, 2]
