"""The neural pair scorer: one encoder reads both records at once and answers one number."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    get_linear_schedule_with_warmup,
)

from twinshelf.training.files import write_json
from twinshelf.training.pairs.pair_config import CrossEncoderConfig
from twinshelf.training.pairs.records import PairRecord, attribute_values

Texts = tuple[str, str]
FOLDER, SETTINGS = "cross_encoder", "fine_tuning.json"
BATCH_SIZE = 32
LEARNING_RATE = 5e-5  # rises to it over a tenth of the steps, then falls to 0
MATCH_WEIGHT = 3.0  # of a match in the loss against one of a non-match
SEED = 42


def pair_text(record: PairRecord) -> str:
    """Returns what the cross-encoder reads of a record."""
    price = "" if record.price is None else f"{record.price:.12g}"
    parts = (record.title, record.description, record.brand, *attribute_values(record), price)
    return " ".join(part for part in parts if part)


class CrossEncoder:
    """Probability, by a fine-tuned text encoder, that two records are the same product.

    Args:
        source: Hub name or local folder of a pretrained text encoder with its tokenizer.
        config: How it is fine-tuned.
    """

    def __init__(self, source: str | Path, config: CrossEncoderConfig | None = None) -> None:
        self.config = config or CrossEncoderConfig()
        torch.manual_seed(SEED)  # the head starts at random values
        self._tokenizer = AutoTokenizer.from_pretrained(source)
        self._model = AutoModelForSequenceClassification.from_pretrained(
            source, num_labels=1, dtype=torch.float32
        )

    def fit(self, pairs: Sequence[tuple[PairRecord, PairRecord]], labels: Sequence[bool]) -> None:
        """Fine-tunes on labelled pairs; a pair is read either way round, by chance."""
        texts = [(pair_text(left), pair_text(right)) for left, right in pairs]
        order, count = random.Random(SEED), len(texts)
        epochs = [order.sample(range(count), count) for _ in range(self.config.epoch_count)]
        batches = [
            rows[start : start + BATCH_SIZE]
            for rows in epochs
            for start in range(0, count, BATCH_SIZE)
        ]
        optimizer = torch.optim.AdamW(self._model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
        schedule = get_linear_schedule_with_warmup(optimizer, len(batches) // 10, len(batches))
        self._model.train()
        for batch in track(batches, "cross-encoder"):
            rows = [texts[i] if order.random() < 0.5 else texts[i][::-1] for i in batch]
            target = torch.tensor([float(labels[i]) for i in batch])  # (B,)
            weight = torch.where(target > 0, MATCH_WEIGHT, 1.0)
            loss = F.binary_cross_entropy_with_logits(self._log_odds(rows), target, weight=weight)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
            optimizer.step()
            schedule.step()

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
            both = [self._log_odds(r) for r in (rows, [row[::-1] for row in rows])]
            scores[order[start : start + 64]] = torch.sigmoid(torch.stack(both)).mean(0).numpy()
        return scores

    def _log_odds(self, rows: Sequence[Texts]) -> Tensor:
        """Returns (B,) log-odds of a match."""
        tokens = self._tokenizer(
            [left for left, _ in rows],
            [right for _, right in rows],
            padding=True,
            truncation=True,
            max_length=self.config.token_count,
            return_tensors="pt",
        )
        return self._model(**tokens).logits.squeeze(1)

    def save(self, folder: Path) -> None:
        """Writes model, tokenizer and settings below a scorer's folder."""
        self._model.save_pretrained(folder / FOLDER)
        self._tokenizer.save_pretrained(folder / FOLDER)
        write_json(folder / FOLDER / SETTINGS, self.config)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: If the folder holds no cross-encoder.
        """
        settings = json.loads((folder / FOLDER / SETTINGS).read_text())
        return cls(folder / FOLDER, CrossEncoderConfig(**settings))
