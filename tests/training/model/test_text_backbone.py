"""The text backbone: from scratch, from a local folder, and rebuilt from its description."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, BertConfig, BertModel

from twinshelf.training.model.model_config import ScratchTextConfig
from twinshelf.training.model.text_backbone import (
    build_text_backbone,
    load_architecture,
    load_pretrained_tokenizer,
    scratch_architecture,
)
from twinshelf.training.model.wordpiece import train_wordpiece

SMALL = ScratchTextConfig(width=16, layer_count=1, head_count=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretrained backbone as the hub lays it out."""
    path = tmp_path_factory.mktemp("backbone")
    torch.manual_seed(0)
    architecture = BertConfig(
        vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32,
    )  # fmt: skip
    BertModel(architecture).save_pretrained(path)
    train_wordpiece(["red apple juice 500 ml"] * 3, 300).save(str(path / "tokenizer.json"))
    return path


def test_mean_pooling_leaves_padding_out() -> None:
    architecture = scratch_architecture(SMALL, vocabulary_size=50, max_token_count=16)
    backbone = build_text_backbone(architecture).eval()
    ids = torch.randint(5, 50, (2, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 2:] = 0
    hidden = backbone.network(input_ids=ids, attention_mask=mask).last_hidden_state
    features = backbone(ids, mask)
    torch.testing.assert_close(features[0], hidden[0].mean(dim=0))
    torch.testing.assert_close(features[1], hidden[1, :2].mean(dim=0))


@pytest.mark.parametrize("kind", ["bert", "mpnet", "albert", "distilbert"])
def test_every_weight_takes_part(kind: str) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    backbone = build_text_backbone(AutoConfig.for_model(kind, vocab_size=50, **sizes))
    ids = torch.randint(5, 50, (2, 6), generator=torch.Generator().manual_seed(0))
    backbone(ids, torch.ones_like(ids)).square().sum().backward()
    assert all(weight.grad is not None for weight in backbone.parameters())


def test_a_backbone_is_rebuilt_from_its_description(folder: Path, tmp_path: Path) -> None:
    architecture = load_architecture(str(folder))
    backbone = build_text_backbone(architecture, str(folder)).eval()
    description = tmp_path / "text_backbone.json"
    description.write_text(architecture.to_json_string(use_diff=False))
    rebuilt = build_text_backbone(load_architecture(str(description))).eval()
    rebuilt.load_state_dict(backbone.state_dict())
    ids = torch.randint(5, 300, (2, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    assert torch.equal(backbone(ids, mask), rebuilt(ids, mask))


def test_a_backbone_stored_in_half_precision_is_trained_in_whole(
    folder: Path, tmp_path: Path
) -> None:
    BertModel.from_pretrained(folder).half().save_pretrained(tmp_path)
    architecture = load_architecture(str(tmp_path))
    description = tmp_path / "text_backbone.json"
    description.write_text(architecture.to_json_string(use_diff=False))
    for backbone in (
        build_text_backbone(architecture, str(tmp_path)),
        build_text_backbone(load_architecture(str(description))),
    ):
        assert {weight.dtype for weight in backbone.parameters()} == {torch.float32}


def test_a_pretrained_backbone_keeps_its_weights_and_tokenizer(folder: Path) -> None:
    source = BertModel.from_pretrained(folder)
    backbone = build_text_backbone(load_architecture(str(folder)), str(folder))
    key = "embeddings.word_embeddings.weight"
    assert torch.equal(backbone.network.state_dict()[key], source.state_dict()[key])
    tokenizer = load_pretrained_tokenizer(str(folder))
    assert isinstance(tokenizer, Tokenizer)
    expected = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("red juice").ids
    assert tokenizer.encode("red juice").ids == expected


def test_a_folder_without_a_backbone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no text backbone .*model_type"):
        load_architecture(str(tmp_path))
