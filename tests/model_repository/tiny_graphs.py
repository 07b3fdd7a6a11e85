"""Small ONNX graphs with the names and types of the real ones, made with onnx.helper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Value = onnx.ValueInfoProto
FLOAT, INT64, UINT8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8


def value(name: str, onnx_type: int, shape: Sequence[int | str]) -> Value:
    """Returns an input or output; a size that is a word is open."""
    return helper.make_tensor_value_info(name, onnx_type, list(shape))


def save_graph(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    constants: dict[str, np.ndarray] | None = None,
) -> Path:
    """Checks a graph and writes it; returns the path."""
    initializers = [numpy_helper.from_array(array, n) for n, array in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "tiny", list(inputs), list(outputs), initializers)
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def save_image_tower(path: Path, image_size_px: int, dim: int = 256, seed: int = 0) -> Path:
    """Pixels -> normalised random projection of all of them: every pixel matters.

    They are centred, as real towers have it: of a black photo would else be made nothing.
    """
    row_size = 3 * image_size_px**2
    weight = np.random.default_rng(seed).normal(size=(row_size, dim)).astype(np.float32)
    return save_graph(
        path,
        [
            helper.make_node("Cast", ["PIXELS"], ["float"], to=FLOAT),
            helper.make_node("Sub", ["float", "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "white"], ["scaled"]),
            helper.make_node("Flatten", ["scaled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weight"], ["projected"]),
            helper.make_node("LpNormalization", ["projected"], ["IMAGE_EMBEDDING"], axis=-1, p=2),
        ],
        [value("PIXELS", UINT8, ["batch", 3, image_size_px, image_size_px])],
        [value("IMAGE_EMBEDDING", FLOAT, ["batch", dim])],
        {
            "mean": np.array(127.5, np.float32),
            "white": np.array(255.0, np.float32),
            "weight": weight,
        },
    )


def save_text_tower(path: Path, vocabulary_size: int, dim: int = 256, seed: int = 1) -> Path:
    """Token ids and mask -> normalised sum of the embeddings of the tokens that the mask keeps."""
    table = np.random.default_rng(seed).normal(size=(vocabulary_size, dim)).astype(np.float32)
    return save_graph(
        path,
        [
            helper.make_node("Gather", ["table", "INPUT_IDS"], ["tokens"]),
            helper.make_node("Cast", ["ATTENTION_MASK"], ["mask"], to=FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["wide_mask"]),
            helper.make_node("Mul", ["tokens", "wide_mask"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "length_axis"], ["sum"], keepdims=0),
            helper.make_node("LpNormalization", ["sum"], ["TEXT_EMBEDDING"], axis=-1, p=2),
        ],
        [
            value("INPUT_IDS", INT64, ["batch", "length"]),
            value("ATTENTION_MASK", INT64, ["batch", "length"]),
        ],
        [value("TEXT_EMBEDDING", FLOAT, ["batch", dim])],
        {"table": table, "last": np.array([-1]), "length_axis": np.array([1])},
    )


def save_fusion(path: Path, weight: float, dim: int = 256) -> Path:
    """Both halves -> [sqrt(w) image ; sqrt(1-w) text]."""
    return save_graph(
        path,
        [
            helper.make_node("Mul", ["IMAGE_EMBEDDING", "image_factor"], ["image"]),
            helper.make_node("Mul", ["TEXT_EMBEDDING", "text_factor"], ["text"]),
            helper.make_node("Concat", ["image", "text"], ["EMBEDDING"], axis=-1),
        ],
        [
            value("IMAGE_EMBEDDING", FLOAT, ["batch", dim]),
            value("TEXT_EMBEDDING", FLOAT, ["batch", dim]),
        ],
        [value("EMBEDDING", FLOAT, ["batch", 2 * dim])],
        {
            "image_factor": np.array(weight**0.5, np.float32),
            "text_factor": np.array((1 - weight) ** 0.5, np.float32),
        },
    )
