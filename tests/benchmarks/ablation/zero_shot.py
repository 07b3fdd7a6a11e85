"""The pretrained towers of a run as they were before training: no head, mean-pooled features."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from transformers import PretrainedConfig

from twinshelf.training.checkpoint import TrainedEncoder
from twinshelf.training.model.encoder import FusedEncoder, Fusion, Tower
from twinshelf.training.model.image_backbone import build_image_backbone, count_image_features
from twinshelf.training.model.model_config import ImageBackboneConfig
from twinshelf.training.model.text_backbone import (
    build_text_backbone,
    load_architecture,
    load_pretrained_tokenizer,
)
from twinshelf.training.preprocessing.settings import PreprocessingSettings
from twinshelf.training.preprocessing.tokens import TextTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroShot:
    """Pretrained towers, ready to embed.

    Attributes:
        encoder: The towers; one that was never pretrained embeds everything as zeros.
        has_image: Whether the image tower is pretrained.
        has_text: Whether the text tower is.
        notes: What is missing and why, one sentence each.
    """

    encoder: TrainedEncoder
    has_image: bool
    has_text: bool
    notes: tuple[str, ...]


class AbsentTower(nn.Module):
    """Stands where no tower was pretrained; its rows are zeros, a missing modality."""

    embedding_dim = 1

    def forward(self, rows: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        """Returns zeros, float32 (B, 1)."""
        return torch.zeros(len(rows), self.embedding_dim, device=rows.device)


def load_zero_shot(
    encoder: TrainedEncoder,
    *,
    image_weights: Path | None = None,
    text_encoder: str | None = None,
) -> ZeroShot:
    """Loads the towers that a run started from.

    Args:
        encoder: The run's trained encoder: its configuration names both.
        image_weights: File of the image encoder's starting weights; None takes the run's.
        text_encoder: Hub name or folder of a pretrained text encoder; None takes the run's.

    Raises:
        FileNotFoundError: If a file given here is missing.
        ValueError: If there is no such encoder.
    """
    config, settings = encoder.config.model, encoder.settings
    notes: list[str] = []
    image = _image_tower(config.image, image_weights, settings.image_size_px, notes)
    name, tokenizer, text = text_encoder or config.text.name, encoder.tokenizer, None
    if name is None:
        notes.append("the text tower was trained from scratch: nothing to compare it with")
    else:
        architecture = load_architecture(name)
        settings = _fitting(settings, architecture)
        tokenizer = _load_tokenizer(name, settings)
        text = _without_head(
            Tower(
                build_text_backbone(architecture, name),
                architecture.hidden_size,
                architecture.hidden_size,
            )
        )
    model = FusedEncoder(
        image or AbsentTower(),  # type: ignore[arg-type]
        text or AbsentTower(),  # type: ignore[arg-type]
        Fusion(),
    )
    return ZeroShot(
        encoder=replace(encoder, model=model.eval(), settings=settings, tokenizer=tokenizer),
        has_image=image is not None,
        has_text=text is not None,
        notes=tuple(notes),
    )


def _image_tower(
    config: ImageBackboneConfig, weights: Path | None, image_size_px: int, notes: list[str]
) -> Tower | None:
    if weights is None and not (config.pretrained or config.weights):
        notes.append("the image tower was trained from scratch: nothing to compare it with")
        return None
    if weights is None and config.weights and not Path(config.weights).is_file():
        notes.append(f"the starting weights {Path(config.weights).name} are not where they were")
        return None
    if weights is not None:
        config = replace(config, weights=str(weights), pretrained=False)
    backbone = build_image_backbone(config)
    features = count_image_features(backbone, image_size_px)
    return _without_head(Tower(backbone, features, features))


def _without_head(tower: Tower) -> Tower:
    tower.head = nn.Sequential()
    return tower


def _fitting(
    settings: PreprocessingSettings, architecture: PretrainedConfig
) -> PreprocessingSettings:
    """Leaves out token buckets that are longer than the encoder reads."""
    longest = getattr(architecture, "max_position_embeddings", None) or settings.token_buckets[-1]
    kept = tuple(count for count in settings.token_buckets if count <= longest)
    return replace(settings, token_buckets=kept or (longest,))


def _load_tokenizer(name: str, settings: PreprocessingSettings) -> TextTokenizer:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        load_pretrained_tokenizer(name).save(str(path))
        return TextTokenizer(path, settings)
