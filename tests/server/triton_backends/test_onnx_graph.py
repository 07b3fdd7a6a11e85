"""Tests of reading what an ONNX graph takes and gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from onnx_graph import TRITON_TYPES, GraphTensor, graph_of, model_file

from tests.model_repository.tiny_graphs import save_graph, value


def read(path: Path) -> ort.InferenceSession:
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_open_and_fixed_sizes_and_types_are_read(tmp_path: Path) -> None:
    path = save_graph(
        tmp_path / "model.onnx",
        [helper.make_node("Cast", ["X"], ["Y"], to=TensorProto.INT64)],
        [value("X", TensorProto.FLOAT, ["batch", 3])],
        [value("Y", TensorProto.INT64, ["batch", 3])],
    )

    graph = graph_of(read(path))

    assert graph.inputs == {"X": GraphTensor(name="X", onnx_type="tensor(float)", shape=(-1, 3))}
    assert graph.outputs["Y"].data_type == "TYPE_INT64"
    assert graph.is_batching


def test_a_scalar_has_no_axes_and_does_not_batch(tmp_path: Path) -> None:
    path = save_graph(
        tmp_path / "model.onnx",
        [helper.make_node("ReduceSum", ["X"], ["Y"], keepdims=0)],
        [value("X", TensorProto.FLOAT, ["n"])],
        [value("Y", TensorProto.FLOAT, [])],
    )

    graph = graph_of(read(path))

    assert graph.outputs["Y"].shape == ()
    assert not graph.is_batching


def test_an_input_with_a_default_is_listed_apart(tmp_path: Path) -> None:
    path = save_graph(
        tmp_path / "model.onnx",
        [helper.make_node("Mul", ["X", "SCALE"], ["Y"])],
        [value("X", TensorProto.FLOAT, [3]), value("SCALE", TensorProto.FLOAT, [1])],
        [value("Y", TensorProto.FLOAT, [3])],
        {"SCALE": np.array([2.0], np.float32)},
    )

    graph = graph_of(read(path))

    assert list(graph.inputs) == ["X"]
    assert list(graph.defaulted) == ["SCALE"]


def test_every_type_that_triton_carries_has_its_name() -> None:
    assert len(TRITON_TYPES) == 13
    assert GraphTensor(name="X", onnx_type="seq(tensor(float))", shape=()).data_type is None


def test_the_model_file_may_be_named_or_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").mkdir()
    (tmp_path / "model.onnx" / "model.onnx").touch()
    (tmp_path / "other.onnx").touch()

    assert model_file(tmp_path, {}) == tmp_path / "model.onnx" / "model.onnx"
    assert model_file(tmp_path, {"default_model_filename": "other.onnx"}).name == "other.onnx"
    with pytest.raises(FileNotFoundError, match="no ONNX file .*absent.onnx"):
        model_file(tmp_path, {"default_model_filename": "absent.onnx"})
