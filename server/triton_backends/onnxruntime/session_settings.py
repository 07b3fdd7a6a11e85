"""How ONNX Runtime runs a model, read from its `config.pbtxt` (part of the `onnxruntime` backend).

Names, meanings and defaults are those of Triton's native ONNX Runtime backend.
"""

from __future__ import annotations

from typing import Any

import onnxruntime as ort

ARENA_SHRINKAGE = "memory.enable_memory_arena_shrinkage"
_PHOTO_RANK = 3  # (C, H, W)
_GPU_BATCH_SIZES = (1, 4, 16, 64, 256)


def session_options(config: dict[str, Any]) -> ort.SessionOptions:
    """Returns the options that a model's configuration asks for.

    Args:
        config: The model configuration as Triton gives it (JSON).

    Raises:
        ValueError: If a parameter is not a number in its range.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = _number(config, "intra_op_thread_count", 0, 1024)
    options.inter_op_num_threads = _number(config, "inter_op_thread_count", 0, 1024)
    if _number(config, "execution_mode", 0, 1):
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    options.enable_cpu_mem_arena = bool(_number(config, "enable_mem_arena", 0, 1, default=1))
    options.enable_mem_pattern = bool(_number(config, "enable_mem_pattern", 0, 1, default=1))
    options.graph_optimization_level = _optimization_level(config)
    for key, parameter in config.get("parameters", {}).items():
        if key.startswith("session."):
            options.add_session_config_entry(key, parameter["string_value"])
    return options


def run_options(config: dict[str, Any]) -> ort.RunOptions | None:
    """Returns what each run needs to be told, or None."""
    parameter = config.get("parameters", {}).get(ARENA_SHRINKAGE)
    if parameter is None:
        return None
    options = ort.RunOptions()
    options.add_run_config_entry(ARENA_SHRINKAGE, parameter["string_value"])
    return options


def providers(kind: str, device_id: int) -> list[str | tuple[str, dict[str, Any]]]:
    """Returns the execution providers of an instance, the preferred one first.

    Args:
        kind: Kind of the instance, "CPU" or "GPU".
        device_id: Number of its GPU.

    Raises:
        ValueError: If this ONNX Runtime cannot serve such an instance.
    """
    if kind == "CPU":
        return ["CPUExecutionProvider"]
    if kind != "GPU":
        raise ValueError(f"instance_group must be KIND_CPU or KIND_GPU, got KIND_{kind}")
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        raise ValueError(
            "instance_group asks for KIND_GPU, but this onnxruntime has no CUDAExecutionProvider: "
            "install onnxruntime-gpu in Triton's Python environment, or ask for KIND_CPU"
        )
    ort.preload_dlls()  # CUDA's libraries may lie in packages of this environment
    options = {"device_id": device_id, "cudnn_conv_algo_search": "HEURISTIC"}
    return [("CUDAExecutionProvider", options), "CPUExecutionProvider"]


def batch_sizes(kind: str, config: dict[str, Any]) -> list[int]:
    """Returns the sizes that batches are padded to, ascending; none where they need no padding.

    On a GPU, ONNX Runtime plans the convolutions of a session anew whenever the size of a batch
    differs from that of the one before, in which nobody is answered: 1 to 2 s for MobileNetV2 on an
    H100 (microsoft/onnxruntime #23006). So batches of photos have few sizes, each with a session of
    its own that has run before the model is ready. Texts need none of it.

    Args:
        kind: Kind of the instance, "CPU" or "GPU".
        config: The model's configuration.
    """
    most = config["max_batch_size"]
    is_of_photos = any(len(tensor["dims"]) == _PHOTO_RANK for tensor in config["input"])
    if kind != "GPU" or most < 1 or not is_of_photos:
        return []
    return [*(size for size in _GPU_BATCH_SIZES if size < most), most]


def _optimization_level(config: dict[str, Any]) -> ort.GraphOptimizationLevel:
    level = config.get("optimization", {}).get("graph", {}).get("level", 0)
    levels = {
        -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
        1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
        2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    }
    return levels.get(int(level), ort.GraphOptimizationLevel.ORT_ENABLE_ALL)


def _number(
    config: dict[str, Any], key: str, lowest: int, highest: int, *, default: int = 0
) -> int:
    parameter = config.get("parameters", {}).get(key)
    if parameter is None:
        return default
    text = parameter.get("string_value", "")
    try:
        number = int(text)
    except ValueError:
        number = lowest - 1
    if not lowest <= number <= highest:
        raise ValueError(f"parameter {key} must be a number {lowest} to {highest}, got {text!r}")
    return number
