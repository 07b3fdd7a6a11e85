"""The text backbone: a Hugging Face model by hub name or folder, or a small one from scratch."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import (
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    BertConfig,
    PretrainedConfig,
)

from twinshelf.training.model.model_config import ScratchTextConfig


class TextBackbone(nn.Module):
    """A Hugging Face model with mean pooling over the real tokens.

    Args:
        network: Model whose output has `last_hidden_state` (B, L, F).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Turns token ids and mask, both int64 (B, L), into features (B, F)."""
        output = self.network(input_ids=input_ids, attention_mask=attention_mask)
        hidden = output.last_hidden_state  # (B, L, F)
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (B, L, 1)
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)  # (B, F)


def scratch_architecture(
    config: ScratchTextConfig, *, vocabulary_size: int, max_token_count: int
) -> PretrainedConfig:
    """Describes a small BERT for a vocabulary and a longest text."""
    return BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=config.width,
        num_hidden_layers=config.layer_count,
        num_attention_heads=config.head_count,
        intermediate_size=4 * config.width,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
        max_position_embeddings=max_token_count,
        type_vocab_size=1,
    )


def build_text_backbone(architecture: PretrainedConfig, pretrained: str = "") -> TextBackbone:
    """Builds a backbone.

    Args:
        architecture: What it is made of.
        pretrained: Hub name or local folder of its weights; "" gives fresh ones, to be trained or
            overwritten.

    Raises:
        OSError: If the weights are missing.
    """
    # The pooler of BERT and its like reads the first token only; mean pooling would leave its
    # weights without a gradient, which stops distributed training and swells the checkpoint.
    kind = MODEL_MAPPING.get(type(architecture), None)
    has_pooler = inspect.isclass(kind) and "add_pooling_layer" in inspect.signature(kind).parameters
    options: dict[str, Any] = {"add_pooling_layer": False} if has_pooler else {}
    options["dtype"] = torch.float32  # or that in which it is stored: halves do not train well
    if pretrained:
        return TextBackbone(AutoModel.from_pretrained(pretrained, **options))
    return TextBackbone(AutoModel.from_config(architecture, **options))


def load_architecture(name: str) -> PretrainedConfig:
    """Loads the description of a backbone from a hub name, a local folder, or its file alone.

    Raises:
        ValueError: If there is no model there that transformers knows.
    """
    try:
        return AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"no text backbone {name!r}: {reason}") from error


def load_pretrained_tokenizer(name: str) -> Tokenizer:
    """Loads the tokenizer of a pretrained backbone from a hub name or a local folder.

    Raises:
        OSError: If there is no such tokenizer there.
        ValueError: If it has no form that the `tokenizers` library reads.
    """
    local = Path(name) / "tokenizer.json"
    if local.is_file():
        return Tokenizer.from_file(str(local))
    backend = getattr(AutoTokenizer.from_pretrained(name), "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ValueError(f"the tokenizer of {name!r} has no tokenizer.json form")
    return backend
