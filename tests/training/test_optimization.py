"""The optimiser: every weight once, at its own rate, along the declared schedule."""

import pytest
import torch

from training.image_encoder import ImageEncoderConfig
from training.model import ModelConfig, build_model
from training.optimization import (
    OptimizerConfig,
    freeze_unmoved,
    parameter_groups,
    rate_factor,
    set_training_modes,
)
from training.text_encoder import ScratchTextConfig, scratch_architecture


@pytest.fixture
def model():
    architecture = scratch_architecture(
        ScratchTextConfig(width=16, layer_count=1, head_count=2),
        vocabulary_size=50,
        max_token_count=16,
    )
    config = ModelConfig(image=ImageEncoderConfig(name="test_efficientnet"), embedding_dim=12)
    return build_model(config, image_size_px=32, architecture=architecture)


def test_every_weight_is_in_one_group_with_its_rate_and_decay(model):
    centres = torch.nn.Linear(3, 4)
    config = OptimizerConfig(head_rate=1.0, image_rate=0.1, text_rate=0.2, weight_decay=0.5)
    found = {}
    for group in parameter_groups(model, centres, config):
        for weight in group["params"]:
            assert id(weight) not in found
            found[id(weight)] = (group["lr"], group["weight_decay"])
    assert len(found) == len([*model.parameters(), *centres.parameters()])
    for part, rate in (
        (model.image_tower.encoder, 0.1),
        (model.text_tower.encoder, 0.2),
        (model.image_tower.head, 1.0),
    ):
        for weight in part.parameters():
            assert found[id(weight)] == (rate, 0.5 if weight.ndim > 1 else 0.0)
    assert found[id(centres.weight)] == (1.0, 0.0)


def test_a_rate_of_zero_freezes_the_encoder_but_not_its_head(model):
    config = OptimizerConfig(image_rate=0.0)
    freeze_unmoved(model, config)
    assert not any(w.requires_grad for w in model.image_tower.encoder.parameters())
    assert all(w.requires_grad for w in model.image_tower.head.parameters())
    groups = parameter_groups(model, torch.nn.Identity(), config)
    assert all(group["lr"] > 0 for group in groups)


@pytest.mark.parametrize("statistics", ["moving", "fixed", "restored"])
def test_fixed_statistics_stay_while_the_rest_trains(model, statistics):
    set_training_modes(model, OptimizerConfig(image_statistics=statistics))
    norms = [m for m in model.image_tower.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    before = norms[0].running_mean.clone()
    model.image_tower(torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8))
    assert torch.equal(norms[0].running_mean, before) == (statistics == "fixed")
    assert model.image_tower.encoder.backbone.training
    assert model.text_tower.encoder.training


def test_the_rate_rises_to_its_peak_and_falls_to_zero():
    factors = [rate_factor(step, step_count=100, warmup_share=0.1) for step in range(101)]
    assert factors[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert max(factors) == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0.0)


def test_a_frozen_rate_is_zero_until_it_thaws_and_then_as_the_others():
    for step in range(101):
        free = rate_factor(step, step_count=100, warmup_share=0.1)
        held = rate_factor(step, step_count=100, warmup_share=0.1, frozen_step_count=30)
        assert held == (0.0 if step < 30 else free)


def test_groups_tell_encoders_from_heads(model):
    groups = parameter_groups(model, torch.nn.Linear(3, 4), OptimizerConfig())
    encoders = [*model.image_tower.encoder.parameters(), *model.text_tower.encoder.parameters()]
    of_encoders = {id(weight) for weight in encoders}
    for group in groups:
        assert {id(weight) in of_encoders for weight in group["params"]} == {group["is_encoder"]}


def test_first_stages_stay_frozen_and_keep_their_statistics(model):
    config = OptimizerConfig(image_frozen_stages=2, text_frozen_stages=1)
    freeze_unmoved(model, config)
    set_training_modes(model, config)
    image, text = model.image_tower.encoder.backbone, model.text_tower.encoder.backbone
    assert not any(w.requires_grad for w in image.conv_stem.parameters())
    assert not any(w.requires_grad for w in image.blocks[0].parameters())
    assert all(w.requires_grad for w in image.blocks[1].parameters())
    assert not any(w.requires_grad for w in text.embeddings.parameters())
    assert all(w.requires_grad for w in text.encoder.layer.parameters())
    norms = [m for m in image.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not norms[0].training and norms[-1].training


def test_encoders_rest_in_their_frozen_epochs(model):
    config = OptimizerConfig(frozen_epoch_count=2)
    for epoch, is_moving in ((1, False), (2, True)):
        set_training_modes(model, config, epoch)
        assert model.image_tower.encoder.training == is_moving
        assert model.text_tower.encoder.training == is_moving


@pytest.mark.parametrize("name", ["image_frozen_stages", "text_frozen_stages"])
def test_more_stages_than_there_are_cannot_be_frozen(model, name):
    with pytest.raises(ValueError, match="9 stages to freeze, but the encoder has"):
        freeze_unmoved(model, OptimizerConfig(**{name: 9}))


@pytest.mark.parametrize(
    "values",
    [
        {"image_frozen_stages": -1},
        {"text_frozen_stages": -1},
        {"frozen_epoch_count": -1},
        {"head_rate": 0},
        {"image_rate": -1},
        {"warmup_share": 1.0},
        {"gradient_clip": -1},
    ],
)
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        OptimizerConfig(**values)
