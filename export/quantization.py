"""Towers in fewer bits: int8 for CPUs, float16 for GPUs; names and types of tensors stay.

Weights have seven bits, so that one graph is right on every CPU: those without VNNI add two
products of eight bits in a register of sixteen, which overflows. For CPUs with VNNI they may have
eight.
"""

from __future__ import annotations

import copy
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from twinshelf.export.precision import TRAINING_TABLE, list_calibration_photos
from twinshelf.export.towers import strip_trace
from twinshelf.training.preprocessing.images import decode_images
from twinshelf.training.preprocessing.settings import PreprocessingSettings

Pixels = npt.NDArray[np.uint8]
# Either everything, or what convolutions run through alone: a small embedding can hang on what its
# pooling and projection lose, while the first kind is faster and often as near.
OPERATORS: Final[tuple[list[str] | None, ...]] = (
    None,
    ["Conv", "Add", "Relu", "Clip", "MaxPool", "AveragePool", "Mul", "Sigmoid"],
)


class CalibrationDataError(ValueError):
    """No real photos to measure activations on; the message says where they were looked for."""


def read_calibration_pixels(folder: Path, settings: PreprocessingSettings) -> Pixels:
    """Reads the first photos of the training table.

    Args:
        folder: Folder that `make data` wrote.
        settings: How photos become pixels.

    Returns:
        Pixels, (N, 3, S, S).

    Raises:
        CalibrationDataError: If there are none.
    """
    table = folder / TRAINING_TABLE
    photos = [path.read_bytes() for path in list_calibration_photos(table)]
    pixels = [row for row in decode_images(photos, settings) if isinstance(row, np.ndarray)]
    if len(pixels) < 2:
        raise CalibrationDataError(
            f"int8 needs photos of real products, and {table} has no two that can be read: prepare "
            "the data of the run again"
        )
    return np.stack(pixels)


def quantize_image_graph(graph: bytes, pixels: Pixels, *, needs_vnni: bool = False) -> bytes:
    """Returns an image tower in int8.

    A convolutional one is quantised statically, each channel by itself, with the ranges that
    activations have on real photos: of `OPERATORS` those whose embeddings stay nearest on further
    photos. Of a transformer the matrix products are, as those of texts.

    Args:
        graph: The tower in float32.
        pixels: Real photos, (N, 3, S, S); N is 2 or more.
        needs_vnni: Whether weights have eight bits.
    """
    model = _read(graph)
    kinds = Counter(node.op_type for node in model.graph.node)
    if kinds["Conv"] <= kinds["MatMul"] + kinds["Gemm"]:
        return quantize_text_graph(graph, needs_vnni=needs_vnni)
    to_measure, to_choose = pixels[::2], pixels[1::2]
    expected = _embed(graph, to_choose)
    candidates = [
        _quantize_statically(model, to_measure, operators, needs_vnni) for operators in OPERATORS
    ]
    return max(
        candidates, key=lambda each: float((_embed(each, to_choose) * expected).sum(1).mean())
    )


def quantize_text_graph(graph: bytes, *, needs_vnni: bool = False) -> bytes:
    """Returns a transformer whose products with weights are int8, each channel by itself.

    Ranges of activations are measured at each run, so that it needs no calibration.

    Args:
        graph: The tower in float32.
        needs_vnni: Whether weights have eight bits.
    """
    with _quantiser_output() as path:
        quantize_dynamic(
            _read(graph),
            path,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=not needs_vnni,
            weight_type=QuantType.QInt8,
        )
        return _write(onnx.load(path))


def halve_graph(graph: bytes) -> bytes:
    """Returns a tower in float16 that takes and gives what it did; its norms stay float32."""
    model = _read(graph)
    halved = convert_float_to_float16(
        model, keep_io_types=True, node_block_list=_nodes_of_norms(model.graph)
    )
    _drop_repeated_casts(halved.graph)
    _skip_casts_there_and_back(halved.graph)
    OnnxModel(halved).topological_sort()  # casts were put behind those who read them
    return _write(halved)


def _quantize_statically(
    model: onnx.ModelProto, pixels: Pixels, operators: list[str] | None, needs_vnni: bool
) -> bytes:
    with _quantiser_output() as path:
        quantize_static(
            copy.deepcopy(model),
            path,
            _PhotoReader(model.graph.input[0].name, pixels),
            op_types_to_quantize=operators,
            quant_format=QuantFormat.QDQ,
            calibrate_method=CalibrationMethod.MinMax,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=not needs_vnni,
            calibration_providers=["CPUExecutionProvider"],
        )
        return _write(onnx.load(path))


@contextmanager
def _quantiser_output() -> Iterator[Path]:
    """Gives a file to write to, while the quantiser cannot advise through the root logger."""
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / "quantised.onnx"
    finally:
        logging.disable(logging.NOTSET)


def _embed(graph: bytes, pixels: Pixels) -> npt.NDArray[np.float32]:
    """Embeds photos one by one, in one thread: sums in another order could decide otherwise."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: row[None]})[0] for row in pixels])  # (N, D)


class _PhotoReader(CalibrationDataReader):
    """Hands photos to the calibration one by one."""

    def __init__(self, name: str, pixels: Pixels) -> None:
        self._rows: Iterator[Mapping[str, Any]] = iter([{name: row[None]} for row in pixels])

    def get_next(self) -> Mapping[str, Any] | None:
        """Returns the inputs of one run; None after the last."""
        return next(self._rows, None)


def _nodes_of_norms(graph: onnx.GraphProto) -> list[str]:
    """Names the norms, whose squares may leave the range of float16, and what follows the last.

    That one brings a row to unit length; norms within a tower (ConvNeXt V2) stay by themselves.
    """
    # In an order in which tensors are made before they are read.
    norms = [node for node in graph.node if node.op_type == "ReduceL2"]
    tensors = {name for node in norms[-1:] for name in node.output}
    names = [node.name for node in norms]
    for node in graph.node:
        if not tensors.isdisjoint(node.input):
            names.append(node.name)
            tensors |= set(node.output)
    return names


def _drop_repeated_casts(graph: onnx.GraphProto) -> None:
    """Keeps one of the equal casts that a tensor got for each of its readers in float32."""
    by_output = {node.output[0]: node for node in graph.node}
    kept = [node for node in graph.node if by_output.pop(node.output[0], None)]
    del graph.node[:]
    graph.node.extend(kept)


def _skip_casts_there_and_back(graph: onnx.GraphProto) -> None:
    """Gives the nodes left in float32 what others of them made, not its rounding to float16."""
    sources = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT16
    }
    for node in graph.node:
        if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT:
            node.input[0] = sources.get(node.input[0], node.input[0])


def _read(graph: bytes) -> onnx.ModelProto:
    model = onnx.load_from_string(graph)
    # What the exporter noted of shapes in between is in the way of those who change the nodes.
    model.graph.ClearField("value_info")
    return model


def _write(model: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(model)
    strip_trace(model)
    return model.SerializeToString(deterministic=True)
