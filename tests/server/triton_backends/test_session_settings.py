"""Tests of the options that a model's configuration asks ONNX Runtime for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnxruntime as ort
import pytest
from session_settings import (
    ARENA_SHRINKAGE,
    batch_sizes,
    providers,
    run_options,
    session_options,
)


def config(parameters: Mapping[str, str]) -> dict[str, Any]:
    return {"parameters": {name: {"string_value": text} for name, text in parameters.items()}}


def test_threads_mode_and_memory_are_taken_from_parameters() -> None:
    options = session_options(
        config(
            {
                "intra_op_thread_count": "3",
                "inter_op_thread_count": "2",
                "execution_mode": "1",
                "enable_mem_arena": "0",
                "enable_mem_pattern": "0",
            }
        )
    )

    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 2
    assert options.execution_mode == ort.ExecutionMode.ORT_PARALLEL
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern


def test_defaults_are_those_of_onnx_runtime() -> None:
    options, default = session_options({}), ort.SessionOptions()

    assert options.intra_op_num_threads == default.intra_op_num_threads
    assert options.execution_mode == default.execution_mode
    assert options.graph_optimization_level == default.graph_optimization_level
    assert options.enable_cpu_mem_arena == default.enable_cpu_mem_arena
    assert options.enable_mem_pattern == default.enable_mem_pattern


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (0, ort.GraphOptimizationLevel.ORT_ENABLE_ALL),
        (-1, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC),
        (1, ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED),
        (2, ort.GraphOptimizationLevel.ORT_DISABLE_ALL),
        (99, ort.GraphOptimizationLevel.ORT_ENABLE_ALL),
    ],
)
def test_graph_levels_mean_what_they_mean_to_the_native_backend(
    level: int, expected: ort.GraphOptimizationLevel
) -> None:
    options = session_options({"optimization": {"graph": {"level": level}}})
    assert options.graph_optimization_level == expected


def test_session_entries_are_passed_on() -> None:
    options = session_options(config({"session.intra_op.allow_spinning": "0"}))

    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("intra_op_thread_count", "many"),
        ("intra_op_thread_count", "-1"),
        ("inter_op_thread_count", ""),
        ("execution_mode", "2"),
        ("enable_mem_arena", "yes"),
    ],
)
def test_a_parameter_that_is_no_number_in_its_range_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"parameter {name} must be a number .* got '{text}'"):
        session_options(config({name: text}))


def test_arena_shrinkage_becomes_an_option_of_each_run() -> None:
    assert run_options({}) is None
    options = run_options(config({ARENA_SHRINKAGE: "cpu:0"}))

    assert options is not None
    assert options.get_run_config_entry(ARENA_SHRINKAGE) == "cpu:0"


def test_gpu_instance_gets_its_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: available)
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)

    assert providers("CPU", 0) == ["CPUExecutionProvider"]
    name, options = providers("GPU", 3)[0]
    assert (name, options["device_id"]) == ("CUDAExecutionProvider", 3)


def test_gpu_instance_is_refused_without_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])

    with pytest.raises(ValueError, match="KIND_GPU.*no CUDAExecutionProvider"):
        providers("GPU", 0)
    with pytest.raises(ValueError, match="KIND_CPU or KIND_GPU, got KIND_MODEL"):
        providers("MODEL", 0)


def test_a_gpu_gets_photos_in_batches_of_few_sizes() -> None:
    def sizes(kind: str, most: int, *dims: int) -> list[int]:
        return batch_sizes(kind, {"max_batch_size": most, "input": [{"dims": list(dims)}]})

    assert sizes("CPU", 32, 3, 224, 224) == []
    assert sizes("GPU", 32, -1) == []  # texts
    assert sizes("GPU", 0, 3, 224, 224) == []
    assert sizes("GPU", 1, 3, 224, 224) == [1]
    assert sizes("GPU", 16, 3, 224, 224) == [1, 4, 16]
    assert sizes("GPU", 32, 3, 224, 224) == [1, 4, 16, 32]
