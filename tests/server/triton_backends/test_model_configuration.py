"""Tests of completing and refusing configurations, without Triton."""

from __future__ import annotations

from typing import Any

import pytest
from model_configuration import DEFAULT_MAX_BATCH_SIZE, check, complete, is_complete
from onnx_graph import GraphTensor, OnnxGraph


class FakeModelConfig:
    """Stands in for pb_utils.ModelConfig, which exists only inside Triton's stub."""

    def __init__(self, **config: Any) -> None:
        self.config: dict[str, Any] = {"max_batch_size": 0, "input": [], "output": []} | config

    def as_dict(self) -> dict[str, Any]:
        return self.config

    def set_max_batch_size(self, size: int) -> None:
        self.config["max_batch_size"] = size

    def set_dynamic_batching(self) -> None:
        self.config.setdefault("dynamic_batching", {})


def tensor(name: str, *shape: int, onnx_type: str = "tensor(float)") -> GraphTensor:
    return GraphTensor(name=name, onnx_type=onnx_type, shape=shape)


def graph(
    inputs: list[GraphTensor],
    outputs: list[GraphTensor],
    defaulted: list[GraphTensor] | None = None,
) -> OnnxGraph:
    def by_name(tensors: list[GraphTensor]) -> dict[str, GraphTensor]:
        return {each.name: each for each in tensors}

    return OnnxGraph(
        inputs=by_name(inputs), outputs=by_name(outputs), defaulted=by_name(defaulted or [])
    )


def stated(name: str, *dims: int, data_type: str = "TYPE_FP32", **more: Any) -> dict[str, Any]:
    return {"name": name, "data_type": data_type, "dims": list(dims), **more}


def refusal(stated_config: dict[str, Any], of_graph: OnnxGraph) -> str | None:
    """Returns why a configuration does not fit a graph; None when it does."""
    try:
        check(stated_config, of_graph)
    except ValueError as error:
        return str(error)
    return None


ADD = graph([tensor("X", -1, 3)], [tensor("Y", -1, 3)])


def config(**changes: Any) -> dict[str, Any]:
    return {
        "max_batch_size": 8,
        "input": [stated("X", 3)],
        "output": [stated("Y", 3)],
    } | changes


def test_an_empty_configuration_is_completed_with_batching() -> None:
    model_config = FakeModelConfig()

    complete(model_config, ADD)

    assert model_config.config["max_batch_size"] == DEFAULT_MAX_BATCH_SIZE
    assert "dynamic_batching" in model_config.config
    assert model_config.config["input"] == [stated("X", 3)]
    assert model_config.config["output"] == [stated("Y", 3)]
    check(model_config.config, ADD)


def test_a_graph_with_a_fixed_batch_is_completed_without_batching() -> None:
    model_config, fixed = FakeModelConfig(), graph([tensor("X", 1, 3)], [tensor("Y", 1, 3)])

    complete(model_config, fixed)

    assert model_config.config["max_batch_size"] == 0
    assert model_config.config["input"] == [stated("X", 1, 3)]
    check(model_config.config, fixed)


def test_stated_dims_without_batching_keep_batching_off() -> None:
    model_config = FakeModelConfig(input=[stated("X", -1, 3)])

    complete(model_config, ADD)

    assert model_config.config["max_batch_size"] == 0
    assert model_config.config["output"] == [stated("Y", -1, 3)]


def test_missing_types_and_dims_are_added_and_stated_ones_kept() -> None:
    model_config = FakeModelConfig(
        max_batch_size=8, input=[{"name": "X", "data_type": "TYPE_INVALID", "dims": []}]
    )

    complete(model_config, ADD)

    assert model_config.config["max_batch_size"] == 8
    assert model_config.config["input"] == [stated("X", 3)]


def test_a_scalar_per_row_is_one_element_reshaped_to_none() -> None:
    model_config, sums = FakeModelConfig(), graph([tensor("X", -1, 3)], [tensor("Y", -1)])

    complete(model_config, sums)

    assert model_config.config["output"] == [stated("Y", 1, reshape={"shape": []})]
    check(model_config.config, sums)


def test_a_scalar_without_batching_is_one_element() -> None:
    model_config, total = FakeModelConfig(), graph([tensor("X", 3)], [tensor("Y")])

    complete(model_config, total)

    assert model_config.config["output"] == [stated("Y", 1)]
    check(model_config.config, total)


def test_stated_outputs_may_be_some_of_the_graphs_outputs() -> None:
    two = graph([tensor("X", -1, 3)], [tensor("Y", -1, 3), tensor("Z", -1)])
    model_config = FakeModelConfig(
        max_batch_size=8, output=[{"name": "Y", "data_type": "TYPE_INVALID", "dims": []}]
    )

    complete(model_config, two)

    assert [each["name"] for each in model_config.config["output"]] == ["Y"]
    check(model_config.config, two)


def test_only_a_configuration_that_states_all_is_complete() -> None:
    assert is_complete(config())
    assert not is_complete(config(output=[]))
    assert not is_complete(config(input=[stated("X")]))
    assert not is_complete(config(input=[stated("X", 3, data_type="TYPE_INVALID")]))


def test_stated_sizes_are_accepted_where_the_graph_leaves_them_open() -> None:
    open_graph = graph([tensor("X", -1, -1)], [tensor("Y", -1, -1)])

    for size in (3, 4, -1):
        sized = config(input=[stated("X", size)], output=[stated("Y", size)])
        assert refusal(sized, open_graph) is None
        assert (refusal(sized, ADD) is None) == (size == 3)


def test_an_optional_input_needs_a_default_in_the_graph() -> None:
    optional = [stated("X", 3), stated("S", 3, optional=True)]
    with_default = graph([tensor("X", -1, 3)], [tensor("Y", -1, 3)], [tensor("S", -1, 3)])

    check(config(input=optional), with_default)
    with pytest.raises(ValueError, match="input 'X' is optional .* no default"):
        check(config(input=[stated("X", 3, optional=True)]), ADD)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": [stated("W", 3)]}, r"the graph needs the inputs \['X'\].* lacks \['X'\]"),
        ({"input": [stated("X", 3), stated("W", 3)]}, r"input 'W' is not in the graph.*\['X'\]"),
        ({"output": [stated("W", 3)]}, r"output 'W' is not in the graph, which has \['Y'\]"),
        ({"output": []}, "names no output"),
        ({"input": [stated("X", 4)]}, r"input 'X' must have the shape \[-1, 3\].* \[-1, 4\]"),
        ({"input": [stated("X", -1)]}, r"input 'X' must have the shape \[-1, 3\].* \[-1, -1\]"),
        ({"output": [stated("Y", 3, 1)]}, r"output 'Y' must have the shape .* \[-1, 3, 1\]"),
        ({"output": [stated("Y", 3, data_type="TYPE_FP16")]}, "must be TYPE_FP32 .* TYPE_FP16"),
        ({"input": [stated("X", 3, is_shape_tensor=True)]}, "is_shape_tensor"),
        ({"sequence_batching": {"direct": {}}}, "does not support sequence_batching"),
        ({"batch_input": [{"kind": "BATCH_ELEMENT_COUNT"}]}, "does not support batch_input"),
        ({"model_operations": {"op_library_filename": ["x.so"]}}, "custom operators"),
        ({"model_transaction_policy": {"decoupled": True}}, "decoupled"),
        (
            {"optimization": {"execution_accelerators": {"gpu_execution_accelerator": [{}]}}},
            "execution_accelerators",
        ),
    ],
)
def test_what_cannot_be_served_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(config(**changes), ADD)


def test_batching_over_a_fixed_batch_axis_is_refused() -> None:
    fixed = graph([tensor("X", 1, 3)], [tensor("Y", 1, 3)])

    with pytest.raises(ValueError, match=r"open batch axis .* the shape \[1, 3\]"):
        check(config(), fixed)


def test_a_type_that_triton_does_not_know_is_refused() -> None:
    odd = graph([tensor("X", -1, 3, onnx_type="tensor(bfloat16)")], [tensor("Y", -1, 3)])

    with pytest.raises(ValueError, match=r"input 'X' is a tensor\(bfloat16\)"):
        check(config(), odd)
