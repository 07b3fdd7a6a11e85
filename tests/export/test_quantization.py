"""Towers in fewer bits embed nearly alike, keep their tensors, and are the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.export.tiny_run import SETTINGS
from twinshelf.export.quantization import (
    CalibrationDataError,
    halve_graph,
    quantize_image_graph,
    quantize_text_graph,
    read_calibration_pixels,
)
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import read_table, write_table

pytestmark = pytest.mark.slow

PIXELS = np.random.default_rng(5).integers(0, 256, (8, 3, 32, 32), dtype=np.uint8)
TOKENS = {
    "INPUT_IDS": np.random.default_rng(5).integers(0, 20, (8, 16)),
    "ATTENTION_MASK": np.ones((8, 16), dtype=np.int64),
}


def graph(published: Path, model: str) -> bytes:
    return (published / model / "1" / "model.onnx").read_bytes()


def embed(model: bytes, inputs: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (rows,) = session.run(None, inputs)
    return np.asarray(rows)


def tensors(model: bytes) -> list[tuple[str, int]]:
    parsed = onnx.load_from_string(model).graph
    return [(t.name, t.type.tensor_type.elem_type) for t in (*parsed.input, *parsed.output)]


def weight_types(model: bytes) -> set[int]:
    return {tensor.data_type for tensor in onnx.load_from_string(model).graph.initializer}


def test_an_image_tower_in_int8_embeds_nearly_alike_and_repeats_its_bytes(published: Path) -> None:
    exact = graph(published, "image_tower")
    quantised = quantize_image_graph(exact, PIXELS)
    assert tensors(quantised) == tensors(exact)
    assert onnx.TensorProto.INT8 in weight_types(quantised)
    cosines = (embed(exact, {"PIXELS": PIXELS}) * embed(quantised, {"PIXELS": PIXELS})).sum(1)
    assert cosines.min() > 0.9
    assert quantize_image_graph(exact, PIXELS) == quantised


def test_a_text_tower_in_int8_embeds_nearly_alike_and_repeats_its_bytes(published: Path) -> None:
    exact = graph(published, "text_tower")
    quantised = quantize_text_graph(exact)
    assert tensors(quantised) == tensors(exact)
    assert onnx.TensorProto.INT8 in weight_types(quantised)
    assert (embed(exact, TOKENS) * embed(quantised, TOKENS)).sum(1).min() > 0.95
    assert quantize_text_graph(exact) == quantised


@pytest.mark.parametrize(
    ("model", "inputs"), [("image_tower", {"PIXELS": PIXELS}), ("text_tower", TOKENS)]
)
def test_a_tower_in_float16_takes_and_gives_what_it_did(
    published: Path, model: str, inputs: dict[str, np.ndarray]
) -> None:
    exact = graph(published, model)
    halved = halve_graph(exact)
    assert tensors(halved) == tensors(exact)
    assert onnx.TensorProto.FLOAT16 in weight_types(halved)
    rows = embed(halved, inputs)
    assert (embed(exact, inputs) * rows).sum(1).min() > 0.999
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)


def test_a_norm_within_a_tower_leaves_what_follows_it_in_float16() -> None:
    parsed = onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 20]>
        tower (float[4, 2, 64] PIXELS) => (float[4, 2] EMBEDDING)
        <float[1] scale = {60.0}, int64[1] axes = {-1}>
        {
            wide = Mul (PIXELS, scale)
            inner = ReduceL2 (wide, axes)
            shares = Div (wide, inner)
            sums = ReduceSum <keepdims = 0> (shares, axes)
            norm = ReduceL2 (sums, axes)
            EMBEDDING = Div (sums, norm)
        }""")
    for node in parsed.graph.node:
        node.name = node.output[0]
    exact = parsed.SerializeToString()
    halved = halve_graph(exact)
    typed = onnx.shape_inference.infer_shapes(onnx.load_from_string(halved)).graph
    halves = {
        each.name
        for each in typed.value_info
        if each.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    }
    in_halves = {
        node.name for node in typed.node if node.op_type != "Cast" and node.input[0] in halves
    }
    assert in_halves == {"wide", "shares", "sums"}
    inputs = {"PIXELS": np.random.default_rng(5).uniform(-1, 2, (4, 2, 64)).astype(np.float32)}
    assert (embed(exact, inputs) * embed(halved, inputs)).sum(1).min() > 0.999


def test_photos_of_the_training_table_are_read(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CalibrationDataError, match="int8 needs photos of real products"):
        read_calibration_pixels(tmp_path, SETTINGS)
    table = run.parent / "data" / "queries.parquet"
    rows = [row for row in read_table(table) if isinstance(row, Product)]
    write_table(tmp_path / "train.parquet", rows)
    assert read_calibration_pixels(tmp_path, SETTINGS).shape == (7, 3, 32, 32)
