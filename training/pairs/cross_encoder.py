"""The neural pair scorer: one encoder reads both records at once and answers one number."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, AutoTokenizer

from training.pairs.records import PairRecord
from training.whole_file import write_whole

Texts = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class CrossEncoderConfig:
    """How the cross-encoder is fine-tuned.

    Attributes:
        epoch_count: Passes over the training pairs.
        batch_size: Pairs a step.
        token_count: Tokens of both records together at most.
        learning_rate: Peak rate of the encoder; rises over a tenth of the steps, then falls to 0.
        match_weight: Weight of a match in the loss against one of a non-match.
        seed: Seed of order, sides and dropout.

    Raises:
        ValueError: If a value is out of range.
    """

    epoch_count: int = 4
    batch_size: int = 32
    token_count: int = 64
    learning_rate: float = 5e-5
    match_weight: float = 3.0
    seed: int = 42

    def __post_init__(self) -> None:
        if min(self.epoch_count, self.batch_size) < 1 or self.token_count < 8:
            raise ValueError("epoch_count and batch_size must be 1 or more, token_count 8 or more")
        if self.learning_rate <= 0 or self.match_weight <= 0:
            raise ValueError("learning_rate and match_weight must be above 0")


class _PairModel(nn.Module):
    """Encoder and a linear head over its first token and the mean of all."""

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(2 * width, 1)

    def forward(self, tokens: dict[str, Tensor]) -> Tensor:
        """Returns (B,) log-odds of a match."""
        hidden = self.encoder(**tokens).last_hidden_state  # (B, L, W)
        mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)  # (B, L, 1)
        mean = (hidden * mask).sum(1) / mask.sum(1)  # (B, W)
        return self.head(torch.cat([hidden[:, 0], mean], dim=1)).squeeze(1)  # (B,)


def pair_text(record: PairRecord) -> str:
    """Returns what the cross-encoder reads of a record."""
    price = "" if record.price is None else f"{record.price:g}"
    parts = (record.title, record.description, record.brand, *record.attributes.values(), price)
    return " ".join(part for part in parts if part)


class CrossEncoder:
    """Probability, by a fine-tuned text encoder, that two records are the same product.

    Args:
        encoder_source: Hub name or local folder of a pretrained encoder with its tokenizer.
        config: How it is fine-tuned.
    """

    def __init__(self, encoder_source: str, config: CrossEncoderConfig | None = None) -> None:
        self.config = config or CrossEncoderConfig()
        self.encoder_source = encoder_source
        torch.manual_seed(self.config.seed)  # the head starts at random values
        architecture = AutoConfig.from_pretrained(encoder_source)
        self._tokenizer = AutoTokenizer.from_pretrained(encoder_source)
        self._model = _PairModel(
            AutoModel.from_pretrained(encoder_source), architecture.hidden_size
        )

    def fit(self, pairs: Sequence[tuple[PairRecord, PairRecord]], labels: Sequence[bool]) -> None:
        """Fine-tunes on labelled pairs; a pair is read either way round, by chance."""
        texts = [(pair_text(left), pair_text(right)) for left, right in pairs]
        config, order = self.config, random.Random(self.config.seed)
        steps = config.epoch_count * -(-len(texts) // config.batch_size)
        optimizer = torch.optim.AdamW(
            [
                {"params": self._model.encoder.parameters(), "lr": config.learning_rate},
                {"params": self._model.head.parameters(), "lr": 20 * config.learning_rate},
            ],
            weight_decay=0.01,
        )
        warm_up = max(1, steps // 10)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda s: min(1.0, (s + 1) / warm_up) * max(0.0, 1 - s / steps)
        )
        self._model.train()
        with Progress() as progress:
            task = progress.add_task("cross-encoder", total=steps)
            for batch in self._batches(len(texts), order):
                swapped = [order.random() < 0.5 for _ in batch]
                rows = [
                    texts[i][::-1] if s else texts[i] for i, s in zip(batch, swapped, strict=True)
                ]
                target = torch.tensor([float(labels[i]) for i in batch])  # (B,)
                weight = torch.where(target > 0, config.match_weight, 1.0)
                loss = F.binary_cross_entropy_with_logits(
                    self._model(self._tokenize(rows)), target, weight=weight
                )
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                progress.update(task, advance=1)

    @torch.inference_mode()
    def score(self, pairs: Sequence[tuple[PairRecord, PairRecord]]) -> npt.NDArray[np.float64]:
        """Returns (pairs,) probabilities, the mean of both orders of each pair."""
        self._model.eval()
        texts = [(pair_text(left), pair_text(right)) for left, right in pairs]
        # Neighbours of like length waste least padding.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i][0]) + len(texts[i][1]))
        scores = np.empty(len(texts))
        for start in range(0, len(order), 64):
            rows = [texts[i] for i in order[start : start + 64]]
            both = [self._model(self._tokenize(r)) for r in (rows, [row[::-1] for row in rows])]
            scores[order[start : start + 64]] = torch.sigmoid(torch.stack(both)).mean(0).numpy()
        return scores

    def _batches(self, row_count: int, order: random.Random) -> Iterator[list[int]]:
        for _ in range(self.config.epoch_count):
            rows = order.sample(range(row_count), row_count)
            for start in range(0, row_count, self.config.batch_size):
                yield rows[start : start + self.config.batch_size]

    def _tokenize(self, rows: Sequence[Texts]) -> dict[str, Any]:
        return dict(
            self._tokenizer(
                [left for left, _ in rows],
                [right for _, right in rows],
                padding=True,
                truncation=True,
                max_length=self.config.token_count,
                return_tensors="pt",
            )
        )

    def save(self, folder: Path) -> None:
        """Writes weights and settings; the architecture and tokenizer stay at their source."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self._model.state_dict(), folder / "cross_encoder.safetensors")
        settings = {"encoder_source": self.encoder_source, **asdict(self.config)}
        write_whole(folder / "cross_encoder.json", json.dumps(settings, indent=2))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: If the folder holds no cross-encoder.
        """
        settings = json.loads((folder / "cross_encoder.json").read_text())
        source = settings.pop("encoder_source")
        scorer = cls(source, CrossEncoderConfig(**settings))
        scorer._model.load_state_dict(load_file(folder / "cross_encoder.safetensors"))
        return scorer
