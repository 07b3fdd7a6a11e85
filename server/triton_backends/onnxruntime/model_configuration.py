"""A model's configuration against its ONNX graph (part of the `onnxruntime` backend).

`complete` adds what `config.pbtxt` leaves out; `check` refuses what cannot be served, at load time
and not with wrong answers later. Both follow Triton's native ONNX Runtime backend, but for
`allow_ragged_batch`: that one flattens rows of unequal shapes, this one runs each shape by itself.
"""

from __future__ import annotations

from typing import Any, Final

from onnx_graph import GraphTensor, OnnxGraph

# The native backend's own default for a graph that can batch.
DEFAULT_MAX_BATCH_SIZE: Final = 4


def is_complete(config: dict[str, Any]) -> bool:
    """Whether the configuration states batching and every tensor that it names."""
    tensors = [*config["input"], *config["output"]]
    return bool(
        config["input"]
        and config["output"]
        and all(t["dims"] and t["data_type"] != "TYPE_INVALID" for t in tensors)
    )


def complete(model_config: Any, graph: OnnxGraph) -> None:
    """Adds missing tensors, types, dims and batching to a `pb_utils.ModelConfig`, in place.

    Batching is switched on only when the configuration leaves all dims to the graph and every
    tensor has an open batch axis: stated dims already say whether they hold a batch axis.
    """
    config = model_config.as_dict()
    has_dims = any(tensor["dims"] for tensor in (*config["input"], *config["output"]))
    if config["max_batch_size"] == 0 and not has_dims and graph.is_batching:
        model_config.set_max_batch_size(DEFAULT_MAX_BATCH_SIZE)
        if "sequence_batching" not in config:
            model_config.set_dynamic_batching()
    batched = config["max_batch_size"] > 0
    for section, tensors in (
        ("input", graph.inputs | _named(graph.defaulted, config["input"])),
        (
            "output",
            graph.outputs if not config["output"] else _named(graph.outputs, config["output"]),
        ),
    ):
        for tensor in tensors.values():
            _complete_tensor(config[section], tensor, batched=batched)


def check(config: dict[str, Any], graph: OnnxGraph) -> None:
    """Refuses a configuration that the graph, or this backend, cannot serve.

    Raises:
        ValueError: Says what was expected and what the configuration has.
    """
    _check_features(config)
    batched = config["max_batch_size"] > 0
    configured = {tensor["name"] for tensor in config["input"]}
    if missing := sorted(set(graph.inputs) - configured):
        raise ValueError(
            f"the graph needs the inputs {sorted(graph.inputs)}, the configuration lacks {missing}"
        )
    for tensor in config["input"]:
        _check_input_features(tensor)
        known = graph.inputs | graph.defaulted
        _check_tensor("input", tensor, known, batched=batched)
        if tensor.get("optional") and tensor["name"] not in graph.defaulted:
            raise ValueError(
                f"input {tensor['name']!r} is optional in the configuration, "
                "but the graph has no default for it"
            )
    if not config["output"]:
        raise ValueError("the configuration names no output")
    for tensor in config["output"]:
        _check_tensor("output", tensor, graph.outputs, batched=batched)


def _named(tensors: dict[str, GraphTensor], stated: list[dict[str, Any]]) -> dict[str, GraphTensor]:
    names = {tensor["name"] for tensor in stated}
    return {name: tensor for name, tensor in tensors.items() if name in names}


def _complete_tensor(section: list[dict[str, Any]], tensor: GraphTensor, *, batched: bool) -> None:
    stated = next((entry for entry in section if entry["name"] == tensor.name), None)
    if stated is None:
        stated = {"name": tensor.name, "data_type": "TYPE_INVALID", "dims": []}
        section.append(stated)
    if stated["data_type"] == "TYPE_INVALID" and tensor.data_type:
        stated["data_type"] = tensor.data_type
    if not stated["dims"]:
        dims = list(tensor.shape[1:] if batched else tensor.shape)
        stated["dims"] = dims or [1]
        # A scalar per row is one element, reshaped to none. Without batching Triton refuses that,
        # and one element stands for the scalar.
        if batched and not dims:
            stated["reshape"] = {"shape": []}


def _check_features(config: dict[str, Any]) -> None:
    unsupported = {
        "sequence_batching": "sequence_batching (and state between requests)",
        "batch_input": "batch_input",
        "batch_output": "batch_output",
        "model_operations": "model_operations (custom operators)",
    }
    for key, words in unsupported.items():
        if config.get(key):
            raise ValueError(f"this backend does not support {words}")
    if config.get("model_transaction_policy", {}).get("decoupled"):
        raise ValueError("this backend does not support decoupled answers")
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    if any(accelerators.values()):
        raise ValueError(f"this backend does not support execution_accelerators: {accelerators}")


def _check_input_features(tensor: dict[str, Any]) -> None:
    for key in ("is_shape_tensor", "is_non_linear_format_io"):
        if tensor.get(key):
            raise ValueError(f"input {tensor['name']!r}: this backend does not support {key}")


def _check_tensor(
    kind: str, stated: dict[str, Any], known: dict[str, GraphTensor], *, batched: bool
) -> None:
    name = stated["name"]
    tensor = known.get(name)
    if tensor is None:
        raise ValueError(f"{kind} {name!r} is not in the graph, which has {sorted(known)}")
    if tensor.data_type is None:
        raise ValueError(f"{kind} {name!r} is a {tensor.onnx_type}, which Triton cannot carry")
    if stated["data_type"] != tensor.data_type:
        raise ValueError(
            f"{kind} {name!r} must be {tensor.data_type} as in the graph, "
            f"the configuration says {stated['data_type']}"
        )
    dims = list(stated["reshape"].get("shape", ()) if "reshape" in stated else stated["dims"])
    if batched and tensor.shape[:1] != (-1,):
        raise ValueError(
            f"{kind} {name!r} must have an open batch axis for max_batch_size > 0, "
            f"the graph has the shape {list(tensor.shape)}"
        )
    full = [-1, *map(int, dims)] if batched else [int(size) for size in dims]
    if not _is_served_by(full, tensor.shape or (1,)):
        raise ValueError(
            f"{kind} {name!r} must have the shape {list(tensor.shape)} of the graph, "
            f"the configuration says {full}"
        )


def _is_served_by(stated: list[int], shape: tuple[int, ...]) -> bool:
    """Whether each stated size is the graph's own, or the graph leaves it open."""
    return len(stated) == len(shape) and all(
        own in (-1, said) for said, own in zip(stated, shape, strict=True)
    )
