"""Triton backend `onnxruntime` in Python, for servers that come without the native one.

Triton runs this file, in its Python stub, for every model whose `config.pbtxt` says
`backend: "onnxruntime"`. It serves and refuses the same models as NVIDIA's native backend does, so
that one model repository runs on both. It has an environment of its own (numpy 1.26): see `check`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import model_configuration
import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils
from onnx_graph import graph_of, model_file
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from request_batch import (
    Arrays,
    BatchBuffer,
    as_tensor,
    groups_of_equal_shape,
    join,
    pad,
    read_inputs,
    samples,
    split,
)
from session_settings import batch_sizes, providers, run_options, session_options

_ANY_SIZE = 0  # of a batch


class TritonPythonModel:
    """One instance of an ONNX model: its sessions, and the buffer that batches are joined in."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config: Any) -> Any:
        """Adds what the configuration leaves out, from the graph."""
        _refuse_numpy_2()
        config = auto_complete_model_config.as_dict()
        if not model_configuration.is_complete(config):
            path = model_file(Path(pb_utils.get_model_dir()), config)
            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            model_configuration.complete(auto_complete_model_config, graph_of(session))
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the session and checks the configuration against the graph.

        Raises:
            pb_utils.TritonModelException: If the model cannot be served; says why.
        """
        _refuse_numpy_2()
        try:
            self._open(args)
        except Exception as error:  # ONNX Runtime has a dozen of its own
            raise pb_utils.TritonModelException(
                f"unable to load model {args['model_name']!r}: {error}"
            ) from error

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers each request; a bad one fails alone."""
        responses: list[Any] = [None] * len(requests)
        inputs: list[Arrays] = []
        numbers: list[int] = []
        for number, request in enumerate(requests):
            try:
                inputs.append(read_inputs(request, self._input_types))
                numbers.append(number)
            except ValueError as error:
                responses[number] = _refusal(error)
        for group in groups_of_equal_shape(inputs) if self._is_batched else _one_each(inputs):
            answers = self._run_group([inputs[member] for member in group])
            for member, answer in zip(group, answers, strict=True):
                number = numbers[member]
                responses[number] = _response(answer, requests[number].requested_output_names())
        return responses

    def finalize(self) -> None:
        """Lets go of the sessions."""
        self._sessions.clear()

    def _open(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        path = model_file(Path(args["model_repository"]) / args["model_version"], config)
        wanted = providers(args["model_instance_kind"], int(args["model_instance_device_id"]))
        self._batch_sizes = batch_sizes(args["model_instance_kind"], config)
        self._sessions = {
            size: ort.InferenceSession(path, session_options(config), providers=wanted)
            for size in self._batch_sizes or [_ANY_SIZE]
        }
        session = next(iter(self._sessions.values()))
        # ONNX Runtime falls back to the CPU with no more than a line in the log.
        if len(wanted) > 1 and session.get_providers()[0] == "CPUExecutionProvider":
            raise ValueError("onnxruntime could not start its CUDAExecutionProvider")
        graph = graph_of(session)
        model_configuration.check(config, graph)
        self._run_options = run_options(config)
        self._is_batched = config["max_batch_size"] > 0
        self._input_types = {tensor["name"]: tensor["data_type"] for tensor in config["input"]}
        self._output_names = [tensor["name"] for tensor in config["output"]]
        # Triton has no scalars: it sends and wants one element where the graph has none.
        self._scalar_inputs = {
            name for name, tensor in (graph.inputs | graph.defaulted).items() if not tensor.shape
        }
        self._buffer = BatchBuffer()
        for size in self._batch_sizes:
            for arrays in samples(config, size):
                self._run(arrays)

    def _run_group(self, inputs: list[Arrays]) -> list[Arrays | Exception]:
        """Runs requests as one batch; each by itself when the batch fails, to find the bad one."""
        try:
            if not self._is_batched:
                return [self._run(inputs[0])]
            row_counts = [_row_count(arrays) for arrays in inputs]
            batch = pad(join(inputs, self._buffer), self._batch_sizes)
            return list(split(self._run(batch), row_counts, _row_count(batch)))
        except Exception as error:  # whatever ONNX Runtime raises must become an answer
            if len(inputs) == 1:
                return [error]
            return [self._run_group([arrays])[0] for arrays in inputs]

    def _run(self, inputs: Arrays) -> Arrays:
        for name in self._scalar_inputs & inputs.keys():
            inputs[name] = inputs[name].reshape(())
        session = self._sessions[_row_count(inputs) if self._batch_sizes else _ANY_SIZE]
        outputs = session.run(self._output_names, inputs, self._run_options)
        return {
            name: np.atleast_1d(output)
            for name, output in zip(self._output_names, outputs, strict=True)
        }


def _response(answer: Arrays | Exception, requested: list[str]) -> Any:
    if isinstance(answer, Exception):
        return _refusal(answer)
    return pb_utils.InferenceResponse(
        [as_tensor(name, answer[name]) for name in requested if name in answer]
    )


def _refusal(error: Exception) -> Any:
    is_callers_fault = isinstance(error, (ValueError, InvalidArgument))
    code = pb_utils.TritonError.INVALID_ARG if is_callers_fault else pb_utils.TritonError.INTERNAL
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), code))


def _row_count(arrays: Arrays) -> int:
    return int(next(iter(arrays.values())).shape[0])


def _one_each(inputs: list[Arrays]) -> list[list[int]]:
    return [[number] for number in range(len(inputs))]


def _refuse_numpy_2() -> None:
    if int(np.__version__.split(".")[0]) >= 2:
        raise pb_utils.TritonModelException(
            f"Triton's Python stub needs numpy 1.26, this environment has {np.__version__}: under "
            "numpy 2 the stub returns wrong tensors without an error (`make setup` installs both)"
        )
