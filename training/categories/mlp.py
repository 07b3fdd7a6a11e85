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

from training.categories.labels import Ints, Labels, Predictions
from training.embeddings import ModalityWeights, ProductEmbeddings
from training.evaluation.categories import weighted_f1
from training.whole_file import written_whole

Floats = npt.NDArray[np.float32]
PREDICTED_AT_ONCE = 8192
LEAST_STEPS = 16  # per epoch: a small gallery would see too few in all


@dataclass(frozen=True, slots=True, kw_only=True)
class MlpConfig:
    """Shape and training of the network.

    Attributes:
        hidden_width: Units of the hidden layer, 1 or more.
        dropout: Share of inputs and hidden units set to zero in training, 0 to below 1.
        epoch_count: Most passes over the gallery, 1 or more.
        patience: Epochs without a better weighted F1 on the tuning queries before it stops, 1 or
            more.
        batch_size: Rows of a step, 1 or more; fewer where an epoch had too few steps else.
        learning_rate: Highest learning rate; it falls to zero along a cosine.
        weight_decay: Of AdamW.
        seed: Seed of the first weights, the batches and the dropout.

    Raises:
        ValueError: If a value is out of range.
    """

    hidden_width: int = 256
    dropout: float = 0.3
    epoch_count: int = 60
    patience: int = 15
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("hidden_width", "epoch_count", "patience", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be 0 to below 1, got {self.dropout}")
        if not (self.learning_rate > 0 and self.weight_decay >= 0):
            raise ValueError("learning_rate must be above 0 and weight_decay 0 or more")


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


def fused_inputs(embeddings: ProductEmbeddings, weights: ModalityWeights) -> Floats:
    """Joins the halves that have a weight, each times its root: unit rows where both are there.

    Args:
        embeddings: Unit or zero rows per modality (N).
        weights: Weights of the modalities.

    Returns:
        Rows for the network, float32 (N, D).
    """
    total = weights.image + weights.text
    halves = [
        half * np.float32(math.sqrt(weight / total))
        for half, weight in ((embeddings.image, weights.image), (embeddings.text, weights.text))
        if weight > 0
    ]
    return np.concatenate(halves, axis=1, dtype=np.float32)


def train_head(
    gallery: LabelledRows,
    tuning: LabelledRows,
    *,
    label_count: int,
    config: MlpConfig,
) -> LabelHead:
    """Trains the network on the gallery; keeps the epoch that is best on the tuning queries.

    The same seed gives the same network on the same machine.

    Args:
        gallery: Rows to learn from, all of known label.
        tuning: Rows that choose the epoch; a label number of -1 counts as missed.
        label_count: Labels (C), 2 or more.
        config: Shape and training.

    Raises:
        ValueError: If there is nothing to learn or to tune on.
    """
    if not len(gallery.numbers) or not len(tuning.numbers):
        raise ValueError(
            "the network needs labelled gallery products and tuning queries, "
            f"got {len(gallery.numbers)} and {len(tuning.numbers)}"
        )
    generator = torch.Generator().manual_seed(config.seed)
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
    with written_whole(path) as partial:
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
    return weighted_f1([str(n) for n in tuning.numbers], [str(n) for n in predicted])


def _copied(head: LabelHead) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in head.state_dict().items()}
