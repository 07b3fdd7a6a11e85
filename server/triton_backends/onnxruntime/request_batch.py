"""Requests joined into one run of the graph, and taken apart again (part of `onnxruntime`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

Arrays = dict[str, np.ndarray]
# numpy's DLPack reader knows neither strings nor, in all versions we run on, truth values.
_COPIED_TYPES = frozenset({"TYPE_STRING", "TYPE_BOOL"})


class BatchBuffer:
    """Memory that joined inputs are written to, kept between batches.

    A fresh array of a batch of photos is megabytes that the kernel would have to map and clear
    each time. One per input, grown when needed, is enough: an instance runs one batch at a time.
    """

    def __init__(self) -> None:
        """Starts with no memory."""
        self._memory: dict[tuple[str, np.dtype[Any]], np.ndarray] = {}

    def joined(self, name: str, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the parts joined along axis 0; valid until the next call for this name."""
        if parts[0].dtype == object:
            return np.concatenate(parts)
        shape = (sum(part.shape[0] for part in parts), *parts[0].shape[1:])
        element_count = int(np.prod(shape))
        key = (name, parts[0].dtype)
        memory = self._memory.get(key)
        if memory is None or memory.size < element_count:
            memory = self._memory[key] = np.empty(element_count, parts[0].dtype)
        return np.concatenate(parts, out=memory[:element_count].reshape(shape))


def read_inputs(request: Any, types: dict[str, str]) -> Arrays:
    """Returns the tensors of a request as ONNX Runtime takes them, without copying numbers.

    Args:
        request: Triton's request.
        types: Triton's type of each configured input.

    Raises:
        ValueError: If a string is not UTF-8.
    """
    return {
        tensor.name(): _as_array(tensor, types[tensor.name()])
        for tensor in request.inputs()
        if tensor.name() in types
    }


def groups_of_equal_shape(inputs: Sequence[Arrays]) -> list[list[int]]:
    """Returns the numbers of the requests that may be joined, oldest first.

    Requests may be joined when they bring the same tensors with the same shape per row. Triton's
    dynamic batcher sees to that for required inputs; optional ones may be absent in some.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, arrays in enumerate(inputs):
        key = tuple(sorted((name, array.shape[1:]) for name, array in arrays.items()))
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def join(inputs: Sequence[Arrays], buffer: BatchBuffer) -> Arrays:
    """Returns the inputs of several requests joined along axis 0; those of one as they are."""
    if len(inputs) == 1:
        return inputs[0]
    return {name: buffer.joined(name, [arrays[name] for arrays in inputs]) for name in inputs[0]}


def pad(arrays: Arrays, sizes: Sequence[int]) -> Arrays:
    """Repeats the last row up to the next of the ascending sizes; without sizes, changes nothing.

    A batch beyond the largest size stays as it is.
    """
    row_count = next(iter(arrays.values())).shape[0]
    size = next((size for size in sizes if size >= row_count), row_count)
    if size == row_count:
        return arrays
    rows = np.minimum(np.arange(size), row_count - 1)
    return {name: array[rows] for name, array in arrays.items()}


def samples(config: dict[str, Any], size: int) -> list[Arrays]:
    """Returns batches of ones, one of each shape of row that the warm-up of a model states."""
    shapes = {
        tuple(
            (name, each["data_type"], *map(int, each["dims"]))
            for name, each in sorted(sample["inputs"].items())
        )
        for sample in config.get("model_warmup", [])
    }
    return [
        {
            name: np.ones((size, *dims), pb_utils.triton_string_to_numpy(data_type))
            for name, data_type, *dims in shape
        }
        for shape in sorted(shapes)
    ]


def split(outputs: Arrays, row_counts: Sequence[int], size: int) -> list[Arrays]:
    """Returns the outputs of each request, cut along axis 0.

    Args:
        outputs: What the graph answered.
        row_counts: Rows of each request.
        size: Rows that the graph was given, the requests' and those of the padding.

    Raises:
        ValueError: If the graph answered with another number of rows than it was asked for.
    """
    for name, array in outputs.items():
        if array.shape[:1] != (size,):
            raise ValueError(f"output {name!r} must have {size} rows, the graph gave {array.shape}")
    ends = np.cumsum(row_counts)
    return [
        {name: array[end - count : end] for name, array in outputs.items()}
        for count, end in zip(row_counts, ends, strict=True)
    ]


def _as_array(tensor: Any, data_type: str) -> np.ndarray:
    if data_type == "TYPE_STRING":
        return _decoded(tensor.as_numpy(), tensor.name())
    if data_type in _COPIED_TYPES or not tensor.is_cpu():
        copied: np.ndarray = tensor.as_numpy()
        return copied
    return np.from_dlpack(tensor)


def _decoded(array: np.ndarray, name: str) -> np.ndarray:
    # Triton's strings arrive as bytes objects: str() of them would give "b'...'".
    texts = np.empty(array.shape, dtype=object)
    try:
        texts.reshape(-1)[:] = [bytes(value).decode("utf-8") for value in array.reshape(-1)]
    except UnicodeDecodeError as error:
        raise ValueError(f"input {name!r} must be UTF-8, got {error.reason}") from error
    return texts


def as_tensor(name: str, array: np.ndarray) -> Any:
    """Returns an output as Triton's tensor; texts become UTF-8 bytes."""
    if array.dtype == object or array.dtype.kind == "U":
        encoded = np.empty(array.shape, dtype=object)
        encoded.reshape(-1)[:] = [str(value).encode("utf-8") for value in array.reshape(-1)]
        array = encoded
    return pb_utils.Tensor(name, np.ascontiguousarray(array))
