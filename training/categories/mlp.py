"""A small network on frozen embeddings that predicts labels: the alternative to the vote."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from twinshelf.training.categories.category_config import MlpConfig
from twinshelf.training.categories.category_labels import Labels, Predictions
from twinshelf.training.evaluation.category_vote import Ints, weighted_f1
from twinshelf.training.files import atomic_write

Floats = npt.NDArray[np.float32]
PREDICTED_AT_ONCE = 8192
LEAST_STEPS = 16  # per epoch: a small gallery would see too few in all


class LabelHead(nn.Module):
    """Two linear layers over embeddings that are scaled to unit variance.

    Args:
        input_width: Length of an embedding (D).
        hidden_width: Units of the hidden layer (H).
        label_count: Labels (C).
        dropout: Share set to zero in training.
    """

    def __init__(
        self, input_width: int, hidden_width: int, label_count: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        # Weights are drawn by `reset`, or loaded; torch's own would come from the global generator.
        self.hidden = nn.utils.skip_init(nn.Linear, input_width, hidden_width)
        self.output = nn.utils.skip_init(nn.Linear, hidden_width, label_count)
        self.scale = math.sqrt(input_width)  # of unit rows, each component has variance 1/D
        self.dropout = dropout

    def reset(self, generator: torch.Generator) -> None:
        """Draws the first weights."""
        for layer in (self.hidden, self.output):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(
        self, embeddings: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Returns the logits.

        Args:
            embeddings: Unit or zero rows, float32 (B, D).
            generator: Draws the dropout, in training; None drops nothing.

        Returns:
            Logits, float32 (B, C).
        """
        rows = self._drop(embeddings * self.scale, generator)
        return self.output(self._drop(F.gelu(self.hidden(rows)), generator))

    def _drop(self, rows: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        if generator is None or not self.dropout:
            return rows
        kept = torch.rand(rows.shape, generator=generator) >= self.dropout
        return rows * kept / (1 - self.dropout)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledRows:
    """Embeddings with label numbers.

    Attributes:
        inputs: Unit or zero rows, float32 (N, D).
        numbers: Label numbers, int64 (N,).

    Raises:
        ValueError: If the counts differ or a number is not finite.
    """

    inputs: Floats
    numbers: Ints

    def __post_init__(self) -> None:
        if self.inputs.ndim != 2 or len(self.inputs) != len(self.numbers):
            raise ValueError(
                f"inputs must be (N, D) with a label each, got {self.inputs.shape} "
                f"and {len(self.numbers)} labels"
            )
        finite = np.isfinite(self.inputs).all(axis=1)
        if not finite.all():
            raise ValueError(f"embedding of row {int(np.argmin(finite))} has NaN or infinity")


def train_head(
    gallery: LabelledRows,
    tuning: LabelledRows,
    *,
    label_count: int,
    config: MlpConfig,
    seed: int = 42,
) -> LabelHead:
    """Trains the network on the gallery; keeps the epoch that is best on the tuning queries.

    The same seed gives the same network on the same machine.

    Args:
        gallery: Rows to learn from, all of known label.
        tuning: Rows that choose the epoch; a label number of -1 counts as missed.
        label_count: Labels (C), 2 or more.
        config: Shape and training.
        seed: Seed of the first weights, the batches and the dropout.

    Raises:
        ValueError: If there is nothing to learn or to tune on.
    """
    if not len(gallery.numbers) or not len(tuning.numbers):
        raise ValueError(
            "the network needs labelled gallery products and tuning queries, "
            f"got {len(gallery.numbers)} and {len(tuning.numbers)}"
        )
    generator = torch.Generator().manual_seed(seed)
    head = LabelHead(
        gallery.inputs.shape[1], config.hidden_width, label_count, dropout=config.dropout
    )
    head.reset(generator)
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epoch_count)
    best_f1, best_epoch, best_weights = -1.0, 0, _copied(head)
    for epoch in range(config.epoch_count):
        _train_epoch(head, gallery, optimizer, config.batch_size, generator)
        schedule.step()
        f1 = _tuning_f1(head, tuning)
        if f1 > best_f1:
            best_f1, best_epoch, best_weights = f1, epoch, _copied(head)
        elif epoch - best_epoch >= config.patience:
            break
    head.load_state_dict(best_weights)
    return head.eval()


@torch.inference_mode()
def predict(head: LabelHead, inputs: Floats) -> Predictions:
    """Predicts labels; the margin is the difference of the two highest probabilities."""
    numbers, margins = [], []
    for start in range(0, len(inputs), PREDICTED_AT_ONCE):
        logits = head(torch.from_numpy(inputs[start : start + PREDICTED_AT_ONCE]))
        best = logits.softmax(dim=1).topk(2, dim=1)
        numbers.append(best.indices[:, 0].numpy())
        margins.append((best.values[:, 0] - best.values[:, 1]).double().numpy())
    if not numbers:
        return Predictions(numbers=np.zeros(0, dtype=np.int64), margins=np.zeros(0))
    return Predictions(numbers=np.concatenate(numbers), margins=np.concatenate(margins))


def save_head(path: Path, head: LabelHead) -> None:
    """Writes the weights, whole or not at all."""
    weights = {name: value.contiguous() for name, value in head.state_dict().items()}
    with atomic_write(path) as partial:
        save_file(weights, partial)


def load_head(path: Path, labels: Labels) -> LabelHead:
    """Reads what `save_head` wrote.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it is not such a network, or is of another count of labels.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no network at {path}")
    try:
        weights = load_file(path)
        hidden_width, input_width = weights["hidden.weight"].shape
        head = LabelHead(input_width, hidden_width, len(labels.names))
        head.load_state_dict(weights)
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path} is no network of {len(labels.names)} labels: {error}") from error
    return head.eval()


def _train_epoch(
    head: LabelHead,
    rows: LabelledRows,
    optimizer: torch.optim.Optimizer,
    batch_size: int,
    generator: torch.Generator,
) -> None:
    batch_size = max(1, min(batch_size, len(rows.numbers) // LEAST_STEPS))
    inputs, numbers = torch.from_numpy(rows.inputs), torch.from_numpy(rows.numbers)
    for batch in torch.randperm(len(numbers), generator=generator).split(batch_size):
        loss = F.cross_entropy(head(inputs[batch], generator), numbers[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _tuning_f1(head: LabelHead, tuning: LabelledRows) -> float:
    predicted = predict(head, tuning.inputs).numbers
    return weighted_f1(tuning.numbers, predicted)


def _copied(head: LabelHead) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in head.state_dict().items()}
