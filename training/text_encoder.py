"""The text encoder: a Hugging Face model by hub name or folder, or a small one from scratch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertConfig, PretrainedConfig


@dataclass(frozen=True, kw_only=True)
class ScratchTextConfig:
    """Size of a text encoder that is trained from nothing, and of its WordPiece vocabulary.

    Attributes:
        vocabulary_size: Most word pieces learnt from the training texts.
        width: Features per token; a multiple of `head_count`.
        layer_count: Transformer layers.
        head_count: Attention heads per layer.
        dropout: Share of activations dropped, 0 to below 1.

    Raises:
        ValueError: If a value is out of range.
    """

    vocabulary_size: int = 8000
    width: int = 128
    layer_count: int = 2
    head_count: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in ("vocabulary_size", "width", "layer_count", "head_count"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"model.text.scratch.{name} must be 1 or more, got {getattr(self, name)}"
                )
        if self.width % self.head_count:
            raise ValueError(
                f"model.text.scratch.width must be a multiple of head_count, "
                f"got {self.width} and {self.head_count}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"model.text.scratch.dropout must be 0 to below 1, got {self.dropout}")


@dataclass(frozen=True, kw_only=True)
class TextEncoderConfig:
    """Which text encoder is built.

    Attributes:
        name: Hugging Face hub name or local folder of a pretrained encoder, which brings its own
            tokenizer; null trains a small one from scratch.
        scratch: Size of the encoder from scratch; unused when `name` is given.
    """

    name: str | None = None
    scratch: ScratchTextConfig = field(default_factory=ScratchTextConfig)


class TextEncoder(nn.Module):
    """A Hugging Face encoder with mean pooling over the real tokens.

    Args:
        backbone: Model whose output has `last_hidden_state` (B, L, F).
    """

    def __init__(self, backbone: nn.Module) -> None:
        """Takes the Hugging Face model."""
        super().__init__()
        self.backbone = backbone

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Turns token ids and mask, both int64 (B, L), into features (B, F)."""
        output = self.backbone(input_ids=input_ids, attention_mask=attention_mask)
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


def build_text_encoder(architecture: PretrainedConfig) -> TextEncoder:
    """Builds an encoder with fresh weights, to be trained or overwritten."""
    return TextEncoder(AutoModel.from_config(architecture, **_without_pooler(architecture)))


def load_architecture(name: str) -> PretrainedConfig:
    """Loads the description of a pretrained encoder from a hub name or a local folder.

    Raises:
        ValueError: If there is no encoder there that transformers knows.
    """
    try:
        return AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"no text encoder {name!r}: {reason}") from error


def load_pretrained_text_encoder(name: str) -> TextEncoder:
    """Loads a pretrained encoder from a hub name or a local folder.

    Raises:
        ValueError: If there is no encoder there that transformers knows.
        OSError: If its weights are missing.
    """
    architecture = load_architecture(name)
    return TextEncoder(AutoModel.from_pretrained(name, **_without_pooler(architecture)))


def load_pretrained_tokenizer(name: str) -> Tokenizer:
    """Loads the tokenizer of a pretrained encoder from a hub name or a local folder.

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


def architecture_to_json(architecture: PretrainedConfig) -> str:
    """Returns the architecture as JSON, enough to rebuild the encoder without its source."""
    return architecture.to_json_string(use_diff=False)


def architecture_from_json(text: str) -> PretrainedConfig:
    """Reads what `architecture_to_json` wrote.

    Raises:
        ValueError: If the model type is unknown to transformers.
    """
    values: dict[str, Any] = json.loads(text)
    return AutoConfig.for_model(**values)


def _without_pooler(architecture: PretrainedConfig) -> dict[str, Any]:
    # BERT's pooler reads the first token only; mean pooling would leave its weights without a
    # gradient, which stops distributed training and swells the checkpoint.
    has_pooler = architecture.model_type in {"bert", "roberta", "xlm-roberta", "camembert"}
    return {"add_pooling_layer": False} if has_pooler else {}
