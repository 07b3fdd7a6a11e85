"""The text encoder: from scratch, from a local folder, and rebuilt from its description."""

import pytest
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from training.text_encoder import (
    ScratchTextConfig,
    architecture_from_json,
    architecture_to_json,
    build_text_encoder,
    load_pretrained_text_encoder,
    load_pretrained_tokenizer,
    scratch_architecture,
)
from training.wordpiece import train_wordpiece

SMALL = ScratchTextConfig(width=16, layer_count=1, head_count=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pretrained encoder as the hub lays it out."""
    path = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    architecture = BertConfig(
        vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32,
    )  # fmt: skip
    BertModel(architecture).save_pretrained(path)
    train_wordpiece(["red apple juice 500 ml"] * 3, 300).save(str(path / "tokenizer.json"))
    return path


def test_mean_pooling_leaves_padding_out():
    architecture = scratch_architecture(SMALL, vocabulary_size=50, max_token_count=16)
    encoder = build_text_encoder(architecture).eval()
    ids = torch.randint(5, 50, (2, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 2:] = 0
    hidden = encoder.backbone(input_ids=ids, attention_mask=mask).last_hidden_state
    features = encoder(ids, mask)
    torch.testing.assert_close(features[0], hidden[0].mean(dim=0))
    torch.testing.assert_close(features[1], hidden[1, :2].mean(dim=0))


def test_every_weight_takes_part():
    architecture = scratch_architecture(SMALL, vocabulary_size=50, max_token_count=16)
    encoder = build_text_encoder(architecture)
    ids = torch.randint(5, 50, (2, 6), generator=torch.Generator().manual_seed(0))
    encoder(ids, torch.ones_like(ids)).square().sum().backward()
    assert all(weight.grad is not None for weight in encoder.parameters())


def test_an_encoder_is_rebuilt_from_its_description(folder):
    encoder = load_pretrained_text_encoder(str(folder)).eval()
    description = architecture_to_json(encoder.backbone.config)
    rebuilt = build_text_encoder(architecture_from_json(description)).eval()
    rebuilt.load_state_dict(encoder.state_dict())
    ids = torch.randint(5, 300, (2, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    assert torch.equal(encoder(ids, mask), rebuilt(ids, mask))


def test_a_pretrained_encoder_keeps_its_weights_and_tokenizer(folder):
    source = BertModel.from_pretrained(folder)
    encoder = load_pretrained_text_encoder(str(folder))
    key = "embeddings.word_embeddings.weight"
    assert torch.equal(encoder.backbone.state_dict()[key], source.state_dict()[key])
    tokenizer = load_pretrained_tokenizer(str(folder))
    assert isinstance(tokenizer, Tokenizer)
    expected = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("red juice").ids
    assert tokenizer.encode("red juice").ids == expected


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no text encoder .*model_type"):
        load_pretrained_text_encoder(str(tmp_path))


@pytest.mark.parametrize(
    "values", [{"width": 30, "head_count": 4}, {"layer_count": 0}, {"dropout": 1.0}]
)
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match=r"model\.text\.scratch"):
        ScratchTextConfig(**values)
