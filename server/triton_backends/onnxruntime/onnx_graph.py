"""What an ONNX graph takes and gives, in Triton's words (part of the `onnxruntime` backend).

Runs inside Triton's Python stub: imports nothing of the project but the files beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnxruntime as ort

TRITON_TYPES: Final = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(double)": "TYPE_FP64",
    "tensor(float)": "TYPE_FP32",
    "tensor(float16)": "TYPE_FP16",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(string)": "TYPE_STRING",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(uint8)": "TYPE_UINT8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTensor:
    """One input or output of the graph.

    Attributes:
        name: Its name in the graph.
        onnx_type: ONNX Runtime's name of its type, such as "tensor(float)".
        shape: Its full shape, batch axis included; -1 where the graph leaves the size open.
    """

    name: str
    onnx_type: str
    shape: tuple[int, ...]

    @property
    def data_type(self) -> str | None:
        """Triton's name of the type, such as "TYPE_FP32"; None when Triton has no such type."""
        return TRITON_TYPES.get(self.onnx_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxGraph:
    """All inputs and outputs of a graph, by name.

    Attributes:
        inputs: Inputs that every request must bring.
        defaulted: Inputs that the graph has a default for; a request may leave them out.
        outputs: What the graph can answer.
    """

    inputs: dict[str, GraphTensor]
    defaulted: dict[str, GraphTensor]
    outputs: dict[str, GraphTensor]

    @property
    def is_batching(self) -> bool:
        """Whether axis 0 of every tensor is open, so that requests can be joined along it."""
        tensors = [*self.inputs.values(), *self.defaulted.values(), *self.outputs.values()]
        return all(tensor.shape[:1] == (-1,) for tensor in tensors)


def graph_of(session: ort.InferenceSession) -> OnnxGraph:
    """Returns what the session's graph takes and gives."""
    return OnnxGraph(
        inputs=_by_name(session.get_inputs()),
        defaulted=_by_name(session.get_overridable_initializers()),
        outputs=_by_name(session.get_outputs()),
    )


def model_file(folder: Path, config: dict[str, Any]) -> Path:
    """Returns the ONNX file of a version folder: a file, or a folder that holds `model.onnx`.

    Raises:
        FileNotFoundError: If there is none.
    """
    path = folder / (config.get("default_model_filename") or "model.onnx")
    if path.is_dir():
        path = path / "model.onnx"
    if not path.is_file():
        raise FileNotFoundError(f"there is no ONNX file {path}")
    return path


def _by_name(arguments: Iterable[Any]) -> dict[str, GraphTensor]:
    return {
        argument.name: GraphTensor(
            name=argument.name,
            onnx_type=argument.type,
            # Open sizes come as a name or None, fixed ones as a number.
            shape=tuple(size if isinstance(size, int) else -1 for size in argument.shape or ()),
        )
        for argument in arguments
    }
