"""The comparison of towers, with functions in their place."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.report import AnswersDifferError
from tests.benchmarks.towers import time_tower


def embed(*inputs: np.ndarray) -> np.ndarray:
    return np.eye(4, dtype=np.float32)[inputs[0]]


def embed_otherwise(*inputs: np.ndarray) -> np.ndarray:
    return -embed(*inputs)


def test_every_side_runs_the_same_batch() -> None:
    rows = time_tower({"torch": embed, "ONNX": embed}, (np.array([0, 1, 2]),))
    assert [(row["side"], row["batch"], row["least cosine"]) for row in rows] == [
        ("torch", 3, 1.0),
        ("ONNX", 3, 1.0),
    ]


def test_other_embeddings_are_not_timed() -> None:
    with pytest.raises(AnswersDifferError, match="least cosines"):
        time_tower({"torch": embed, "ONNX": embed_otherwise}, (np.array([0]),))
