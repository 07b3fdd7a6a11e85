"""Stages of encoders, and gradients that are the same when activations are computed twice."""

import pytest
import torch
from torch import nn
from transformers import BertConfig, DistilBertConfig

from training.image_encoder import ImageEncoderConfig, build_image_encoder
from training.stages import enable_gradient_checkpointing, list_stages
from training.text_encoder import TextEncoder, build_text_encoder


def small_text_encoder() -> TextEncoder:
    torch.manual_seed(0)
    return build_text_encoder(
        BertConfig(
            vocab_size=30,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )  # fmt: skip
    )


@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit", "resnet10t"])
def test_every_weight_of_an_image_encoder_is_in_one_stage(name):
    backbone = build_image_encoder(ImageEncoderConfig(name=name)).backbone
    stages = [{id(weight) for weight in stage} for stage in list_stages(backbone)]
    assert len(stages) > 3
    assert sum(len(stage) for stage in stages) == len(list(backbone.parameters()))
    assert set().union(*stages) == {id(weight) for weight in backbone.parameters()}
    assert id(next(backbone.parameters())) in stages[0]


def test_stages_of_a_text_encoder_are_its_embeddings_and_its_layers():
    backbone = small_text_encoder().backbone
    stages = list_stages(backbone)
    assert len(stages) == 3
    assert stages[0][0] is backbone.embeddings.word_embeddings.weight
    assert sum(len(stage) for stage in stages) == len(list(backbone.parameters()))


def test_stages_that_cannot_be_told_are_refused():
    architecture = DistilBertConfig(vocab_size=30, dim=16, n_layers=1, n_heads=2, hidden_dim=32)
    with pytest.raises(ValueError, match="DistilBertModel cannot be told"):
        list_stages(build_text_encoder(architecture).backbone)


def make_image_case():
    torch.manual_seed(0)
    encoder = build_image_encoder(ImageEncoderConfig(name="test_efficientnet"))
    generator = torch.Generator().manual_seed(1)
    return encoder, (torch.randint(0, 256, (3, 3, 32, 32), generator=generator).byte(),)


def make_text_case():
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(0, 30, (3, 7), generator=generator)
    return small_text_encoder(), (ids, torch.ones_like(ids))


@pytest.mark.parametrize("make", [make_image_case, make_text_case])
def test_gradient_checkpointing_keeps_fewer_activations_and_the_same_gradients(make):
    encoder, inputs = make()
    counts = []
    found = []
    for _ in range(2):
        kept = []

        def keep(tensor, kept=kept):
            kept.append(tensor.numel())
            return tensor

        encoder.train()
        encoder.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = encoder(*inputs)
        counts.append(sum(kept))
        output.square().sum().backward()
        found.append([weight.grad.clone() for weight in encoder.parameters()])
        enable_gradient_checkpointing(encoder)
    assert counts[1] < counts[0]
    for plain, twice in zip(*found, strict=True):
        # The same arithmetic; the sums over a batch may be taken in another order.
        torch.testing.assert_close(twice, plain, atol=1e-5, rtol=1e-4)


def test_an_encoder_that_cannot_is_refused():
    encoder = TextEncoder(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="Linear has no gradient checkpointing"):
        enable_gradient_checkpointing(encoder)
