"""The network: it learns, repeats itself by seed, survives saving, and refuses bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from twinshelf.training.categories.mlp import load_head, predict, save_head, train_head

pytestmark = pytest.mark.slow

Rows = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


def rings(count: int, seed: int) -> Rows:
    """Returns unit rows of three labels; no line separates label 0, which lies on both sides."""
    generator = np.random.default_rng(seed)
    numbers = generator.integers(0, 3, count)
    centres = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float64)[numbers]
    centres[numbers == 0] *= generator.choice([-1, 1], (numbers == 0).sum())[:, None]
    rows = centres + 0.15 * generator.normal(size=centres.shape)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit.astype(np.float32), numbers


def train(count: int = 64, seed: int = 42) -> nn.Sequential:
    return train_head(*rings(count, 0), *rings(32, 1), label_count=3, seed=seed)


def test_it_learns_what_no_line_separates() -> None:
    inputs, numbers = rings(200, 2)
    made = predict(train(300), inputs)
    assert (made.numbers == numbers).mean() > 0.95
    assert ((made.margins >= 0) & (made.margins <= 1)).all()


def test_the_seed_decides_all_and_the_global_generator_nothing() -> None:
    torch.manual_seed(1)
    first = train()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second, other = train(), train(seed=7)
    inputs, _ = rings(20, 3)
    assert np.array_equal(predict(first, inputs).margins, predict(second, inputs).margins)
    assert not np.array_equal(predict(first, inputs).margins, predict(other, inputs).margins)
    assert torch.equal(state, torch.get_rng_state())


def test_a_saved_network_predicts_the_same(tmp_path: Path) -> None:
    head = train()
    save_head(tmp_path / "head.safetensors", head)
    loaded = load_head(tmp_path / "head.safetensors", 3)
    inputs, _ = rings(20, 3)
    assert np.array_equal(predict(head, inputs).margins, predict(loaded, inputs).margins)
    with pytest.raises(ValueError, match="no network of 2 labels"):
        load_head(tmp_path / "head.safetensors", 2)
    with pytest.raises(FileNotFoundError, match="no network at"):
        load_head(tmp_path / "absent.safetensors", 2)


def test_no_input_gives_no_prediction() -> None:
    assert len(predict(train(), np.zeros((0, 3), dtype=np.float32)).numbers) == 0


def test_rows_of_another_length_are_refused() -> None:
    inputs, _ = rings(4, 0)
    with pytest.raises(ValueError, match="takes 3 numbers, not 2"):
        predict(train(), inputs[:, :2])
