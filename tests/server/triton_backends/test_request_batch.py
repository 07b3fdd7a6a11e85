"""Batches that are padded, and those that a model is warmed up with, without Triton."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

ROWS = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


@pytest.fixture
def request_batch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, with what Triton's stub would give it."""
    types = {"TYPE_UINT8": np.uint8, "TYPE_INT64": np.int64}
    stub = SimpleNamespace(triton_string_to_numpy=types.__getitem__)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", stub)
    module: ModuleType = importlib.import_module("request_batch")
    yield module
    del sys.modules["request_batch"]


def test_a_batch_is_padded_with_its_last_row(request_batch: Any) -> None:
    assert request_batch.pad({"X": ROWS}, [1, 2, 4, 8])["X"].tolist() == [
        [1, 2],
        [3, 4],
        [5, 6],
        [5, 6],
    ]


@pytest.mark.parametrize("sizes", [[], [1, 2, 3], [1, 2]])
def test_a_batch_of_a_known_or_larger_size_stays(request_batch: Any, sizes: list[int]) -> None:
    arrays = {"X": ROWS}
    assert request_batch.pad(arrays, sizes) is arrays


def test_answers_to_padding_go_to_nobody(request_batch: Any) -> None:
    padded = request_batch.pad({"X": ROWS}, [4])["X"]
    parts = request_batch.split({"Y": padded}, [1, 2], 4)
    assert [part["Y"].tolist() for part in parts] == [[[1, 2]], [[3, 4], [5, 6]]]
    with pytest.raises(ValueError, match="'Y' must have 4 rows"):
        request_batch.split({"Y": ROWS}, [1, 2], 4)


def test_each_shape_of_the_warm_up_is_run_once(request_batch: Any) -> None:
    def sample(length: int) -> dict[str, Any]:
        return {"batch_size": 1, "inputs": {"X": {"data_type": "TYPE_INT64", "dims": [length]}}}

    found = request_batch.samples({"model_warmup": [sample(9), sample(16), sample(9)]}, 2)
    assert [each["X"].shape for each in found] == [(2, 9), (2, 16)]
    assert all(each["X"].dtype == np.int64 and each["X"].all() for each in found)
    assert request_batch.samples({}, 2) == []
