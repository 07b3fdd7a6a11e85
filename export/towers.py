"""The towers and their fusion as ONNX graphs: any batch, any text length, the same bytes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from torch import nn
from torch.export import Dim

from twinshelf.training.model.encoder import Fusion, Tower

RGB = 3
# Of the opsets that every onnxruntime and Triton container of the last years runs, the newest that
# the exporter writes without converting.
OPSET = 18
# Tracing with one row or one token would let the exporter take the axis for a constant.
EXAMPLE_ROWS = 2
EXAMPLE_TOKENS = 8


class GraphError(ValueError):
    """A tower that cannot be turned into a valid ONNX graph; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSignature:
    """Names of a graph's tensors, in the order in which the module takes and gives them.

    Attributes:
        model: Name of the Triton model that holds the graph.
        inputs: Names of the inputs.
        output: Name of the one output. Never that of a submodule: an output named `embedding` made
            an invalid graph of a BERT, whose own node has that name.
    """

    model: str
    inputs: tuple[str, ...]
    output: str


IMAGE_TOWER = GraphSignature(model="image_tower", inputs=("PIXELS",), output="IMAGE_EMBEDDING")
TEXT_TOWER = GraphSignature(
    model="text_tower", inputs=("INPUT_IDS", "ATTENTION_MASK"), output="TEXT_EMBEDDING"
)
FUSION = GraphSignature(
    model="fusion", inputs=("IMAGE_EMBEDDING", "TEXT_EMBEDDING"), output="EMBEDDING"
)


def image_tower_graph(tower: Tower, image_size_px: int) -> bytes:
    """Returns the graph from `PIXELS` uint8 (B, 3, S, S) to `IMAGE_EMBEDDING` float32 (B, D).

    Args:
        tower: The tower, in evaluation mode, on the CPU.
        image_size_px: S, fixed in the graph.

    Raises:
        GraphError: If the tower cannot be exported.
    """
    shape = (EXAMPLE_ROWS, RGB, image_size_px, image_size_px)
    pixels = torch.arange(torch.Size(shape).numel()).remainder(256).to(torch.uint8).view(shape)
    return _graph_bytes(IMAGE_TOWER, tower, (pixels,), ({0: Dim("batch")},))


def text_tower_graph(tower: Tower, max_token_count: int) -> bytes:
    """Returns the graph from `INPUT_IDS`, `ATTENTION_MASK` int64 (B, L) to `TEXT_EMBEDDING`.

    Args:
        tower: The tower, in evaluation mode, on the CPU.
        max_token_count: The most that L can be, 3 or more.

    Raises:
        GraphError: If the tower cannot be exported.
    """
    length = min(EXAMPLE_TOKENS, max_token_count)
    ids = torch.ones(EXAMPLE_ROWS, length, dtype=torch.int64)
    mask = torch.ones_like(ids)
    # Some text models leave the mask out when the example has nothing to mask.
    mask[0, length // 2 :] = 0
    axes = {0: Dim("batch"), 1: Dim("length", max=max_token_count)}
    return _graph_bytes(TEXT_TOWER, tower, (ids, mask), (axes, axes))


def fusion_graph(fusion: Fusion, image_dim: int, text_dim: int) -> bytes:
    """Returns the graph from both halves, float32 (B, D) each, to `EMBEDDING` (B, 2D).

    Args:
        fusion: The fusion with its fitted weight, which becomes a constant.
        image_dim: Length of the image's half.
        text_dim: Length of the text's half.

    Raises:
        GraphError: If it cannot be exported.
    """
    halves = torch.ones(EXAMPLE_ROWS, image_dim), torch.ones(EXAMPLE_ROWS, text_dim)
    axes = {0: Dim("batch")}
    return _graph_bytes(FUSION, fusion, halves, (axes, axes))


def _graph_bytes(
    signature: GraphSignature,
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    axes: Sequence[dict[int, Any]],
) -> bytes:
    if module.training:
        raise GraphError(f"{signature.model} must be in evaluation mode to be exported")
    try:
        graph = _trace(signature, module, example, axes)
        onnx.checker.check_model(graph, full_check=True)
    except Exception as error:  # the exporter raises about twenty kinds
        raise GraphError(f"{signature.model} cannot be exported to ONNX: {error}") from error
    _check_batch_axis(signature, graph)
    strip_trace(graph)
    return graph.SerializeToString(deterministic=True)


def _trace(
    signature: GraphSignature,
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    axes: Sequence[dict[int, Any]],
) -> onnx.ModelProto:
    with warnings.catch_warnings(), torch.no_grad():
        # "The axis name: batch will not be used": it is, by the first input that has it.
        warnings.simplefilter("ignore", UserWarning)
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            verbose=False,
            input_names=list(signature.inputs),
            output_names=[signature.output],
            opset_version=OPSET,
            dynamic_shapes=tuple(axes),
            external_data=False,
        )
    assert program is not None, "only the old exporter gives none"
    return program.model_proto


def _check_batch_axis(signature: GraphSignature, graph: onnx.ModelProto) -> None:
    tensors = {t.name: t for t in (*graph.graph.input, *graph.graph.output)}
    if set(tensors) != {*signature.inputs, signature.output}:
        raise GraphError(
            f"the graph of {signature.model} must have the tensors "
            f"{[*signature.inputs, signature.output]}, got {sorted(tensors)}"
        )
    for name, tensor in tensors.items():
        if not tensor.type.tensor_type.shape.dim[0].dim_param:
            raise GraphError(f"the batch axis of {name} in {signature.model} became a constant")


def strip_trace(graph: onnx.ModelProto) -> None:
    """Removes what says how the graph was traced, not what it computes: stack traces, versions."""
    graph.producer_name, graph.producer_version = "twinshelf", ""
    parts = [graph.graph, *graph.graph.node, *graph.graph.initializer, *graph.graph.value_info]
    for part in [graph, *parts, *graph.graph.input, *graph.graph.output]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
