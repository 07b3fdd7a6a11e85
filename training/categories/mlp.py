"""A small network on frozen embeddings that predicts labels: the alternative to the vote."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from twinshelf.training.categories.category_labels import Predictions
from twinshelf.training.evaluation.category_vote import Ints, weighted_f1
from twinshelf.training.files import atomic_write

Floats = npt.NDArray[np.float32]
HIDDEN_WIDTH, DROPOUT = 256, 0.3
EPOCH_COUNT, PATIENCE = 60, 15  # it ends where so many epochs were no better
BATCH_SIZE = 128
LEAST_STEPS = 16  # per epoch: a small gallery would see too few in all
LEARNING_RATE, WEIGHT_DECAY = 3e-3, 1e-2
PREDICTED_AT_ONCE = 8192


def train_head(
    inputs: Floats,
    numbers: Ints,
    tuning_inputs: Floats,
    tuning_numbers: Ints,
    *,
    label_count: int,
    seed: int = 42,
) -> nn.Sequential:
    """Trains the network on the gallery; keeps the epoch that is best on the tuning queries.

    The same seed gives the same network on the same machine.

    Args:
        inputs: Unit or zero rows to learn from, one or more, float32 (N, D).
        numbers: Their label numbers, int64 (N,).
        tuning_inputs: Rows that choose the epoch, one or more, float32 (Q, D).
        tuning_numbers: Their label numbers, int64 (Q,); a negative one counts as missed.
        label_count: Labels (C), 2 or more.
        seed: Seed of the first weights, the batches and the dropout.
    """
    rows, targets = torch.from_numpy(inputs), torch.from_numpy(numbers)
    batch_size = max(1, min(BATCH_SIZE, len(numbers) // LEAST_STEPS))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        head = _make_head(inputs.shape[1], HIDDEN_WIDTH, label_count)
        optimizer = torch.optim.AdamW(
            head.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCH_COUNT)
        best_f1, best_epoch, best = -1.0, 0, head
        for epoch in range(EPOCH_COUNT):
            head.train()
            for batch in torch.randperm(len(targets)).split(batch_size):
                loss = F.cross_entropy(_logits(head, rows[batch]), targets[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            schedule.step()
            f1 = weighted_f1(tuning_numbers, predict(head, tuning_inputs).numbers)
            if f1 > best_f1:
                best_f1, best_epoch, best = f1, epoch, deepcopy(head)
            elif epoch - best_epoch >= PATIENCE:
                break
    return best


@torch.inference_mode()
def predict(head: nn.Sequential, inputs: Floats) -> Predictions:
    """Predicts labels of rows (Q, D); the margin is that of the two highest probabilities.

    Raises:
        ValueError: If the rows are not as long as those that the network was trained on.
    """
    width = head[1].in_features
    if inputs.shape[1] != width:
        raise ValueError(
            f"the network takes {width} numbers, not {inputs.shape[1]}: "
            "it was trained for another encoder"
        )
    head.eval()
    blocks = torch.from_numpy(inputs).split(PREDICTED_AT_ONCE)
    found = [_logits(head, block).softmax(dim=1).topk(2, dim=1) for block in blocks]
    best, numbers = (torch.cat(each) for each in zip(*found, strict=True))
    margins = (best[:, 0] - best[:, 1]).double()
    return Predictions(numbers=numbers[:, 0].numpy(), margins=margins.numpy())


def save_head(path: Path, head: nn.Sequential) -> None:
    """Writes the weights atomically."""
    with atomic_write(path) as partial:
        save_file(head.state_dict(), partial)


def load_head(path: Path, label_count: int) -> nn.Sequential:
    """Reads what `save_head` wrote.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it is not such a network, or is of another count of labels.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no network at {path}")
    try:
        weights = load_file(path)
        hidden_width, input_width = weights["1.weight"].shape
        head = _make_head(input_width, hidden_width, label_count)
        head.load_state_dict(weights)
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path} is no network of {label_count} labels: {error}") from error
    return head


def _make_head(input_width: int, hidden_width: int, label_count: int) -> nn.Sequential:
    hidden, output = nn.Linear(input_width, hidden_width), nn.Linear(hidden_width, label_count)
    for layer in (hidden, output):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(nn.Dropout(DROPOUT), hidden, nn.GELU(), nn.Dropout(DROPOUT), output)


def _logits(head: nn.Sequential, rows: torch.Tensor) -> torch.Tensor:
    # Of unit rows each component has variance 1/D.
    return head(rows * math.sqrt(rows.shape[1]))
