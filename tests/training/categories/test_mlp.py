"""The network: it learns, repeats itself by seed, survives saving, and refuses bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from twinshelf.training.categories.category_config import MlpConfig
from twinshelf.training.categories.category_labels import Labels
from twinshelf.training.categories.mlp import (
    LabelHead,
    LabelledRows,
    load_head,
    predict,
    save_head,
    train_head,
)

CONFIG = MlpConfig(hidden_width=16, epoch_count=12, patience=12, batch_size=16)


def rings(count: int, seed: int) -> LabelledRows:
    """Returns unit rows of three labels; no line separates label 0, which lies on both sides."""
    generator = np.random.default_rng(seed)
    numbers = generator.integers(0, 3, count)
    centres = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float64)[numbers]
    centres[numbers == 0] *= generator.choice([-1, 1], (numbers == 0).sum())[:, None]
    rows = centres + 0.15 * generator.normal(size=centres.shape)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return LabelledRows(inputs=unit.astype(np.float32), numbers=numbers)


def test_it_learns_what_no_line_separates() -> None:
    head = train_head(rings(300, 0), rings(60, 1), label_count=3, config=CONFIG)
    held_out = rings(200, 2)
    made = predict(head, held_out.inputs)
    assert (made.numbers == held_out.numbers).mean() > 0.95
    assert ((made.margins >= 0) & (made.margins <= 1)).all()


def test_the_seed_decides_all_and_the_global_generator_nothing() -> None:
    torch.manual_seed(1)
    first = train_head(rings(64, 0), rings(32, 1), label_count=3, config=CONFIG)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = train_head(rings(64, 0), rings(32, 1), label_count=3, config=CONFIG)
    other = train_head(
        rings(64, 0), rings(32, 1), label_count=3,
        config=MlpConfig(hidden_width=16, epoch_count=12, batch_size=16),
        seed=7,
    )  # fmt: skip
    inputs = rings(20, 3).inputs
    assert np.array_equal(predict(first, inputs).margins, predict(second, inputs).margins)
    assert not np.array_equal(predict(first, inputs).margins, predict(other, inputs).margins)
    assert torch.equal(state, torch.get_rng_state())


def test_a_saved_network_predicts_the_same(tmp_path: Path) -> None:
    head = train_head(rings(64, 0), rings(32, 1), label_count=3, config=CONFIG)
    save_head(tmp_path / "head.safetensors", head)
    loaded = load_head(tmp_path / "head.safetensors", Labels(names=("a", "b", "c")))
    inputs = rings(20, 3).inputs
    assert np.array_equal(predict(head, inputs).margins, predict(loaded, inputs).margins)
    with pytest.raises(ValueError, match="no network of 2 labels"):
        load_head(tmp_path / "head.safetensors", Labels(names=("a", "b")))
    with pytest.raises(FileNotFoundError, match="no network at"):
        load_head(tmp_path / "absent.safetensors", Labels(names=("a", "b")))


def test_dropout_keeps_the_mean_and_is_off_without_a_generator() -> None:
    head = LabelHead(4, 8, 2, dropout=0.5)
    rows = torch.ones(4000, 4)
    dropped = head._drop(rows, torch.Generator().manual_seed(0))
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(head._drop(rows, None), rows)


def test_no_input_gives_no_prediction() -> None:
    assert len(predict(LabelHead(2, 2, 2), np.zeros((0, 2), dtype=np.float32)).numbers) == 0


def test_bad_input_is_refused() -> None:
    rows = rings(4, 0)
    broken = rows.inputs.copy()
    broken[2, 0] = np.nan
    with pytest.raises(ValueError, match="row 2 has NaN"):
        LabelledRows(inputs=broken, numbers=rows.numbers)
    with pytest.raises(ValueError, match="a label each"):
        LabelledRows(inputs=rows.inputs, numbers=rows.numbers[:3])
    empty = LabelledRows(inputs=rows.inputs[:0], numbers=rows.numbers[:0])
    with pytest.raises(ValueError, match="got 4 and 0"):
        train_head(rows, empty, label_count=3, config=CONFIG)
    with pytest.raises(ValueError, match="dropout"):
        MlpConfig(dropout=1.0)
    with pytest.raises(ValueError, match="epoch_count"):
        MlpConfig(epoch_count=0)
    with pytest.raises(ValueError, match="learning_rate"):
        MlpConfig(learning_rate=0)
