"""A published version run in this process: the ensembles' steps on the very files of Triton.

The parity gate of `export` and the encoder for where no Triton runs read a repository by this.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from tritonclient.grpc.model_config_pb2 import ModelConfig

from twinshelf.server.encoders.python_model import PythonModel, Tensors
from twinshelf.server.triton.plan import usable_core_count
from twinshelf.server.triton.repository import RepositoryError, config_path, read_config

_SESSION = "session."  # parameters that are ONNX Runtime's own, as for Triton


class Model(Protocol):
    """A model that an ensemble is made of."""

    def run(self, inputs: Tensors) -> dict[str, np.ndarray]:
        """Runs (B, ...) inputs through the model."""


def execution_providers(*, has_gpu: bool) -> list[str | tuple[str, dict[str, str]]]:
    """Returns what ONNX Runtime is to compute with, the preferred one first.

    Where the libraries of CUDA or the GPU cannot be used after all, it takes the CPU and says so.
    """
    if not has_gpu:
        return ["CPUExecutionProvider"]
    import onnxruntime

    with contextlib.redirect_stdout(sys.stderr):  # it prints what it cannot find
        onnxruntime.preload_dlls()  # those of the packages that PyTorch brings
    # The exhaustive search, which is the default, plans twice as long for no faster runs.
    options = {"cudnn_conv_algo_search": "HEURISTIC"}
    return [("CUDAExecutionProvider", options), "CPUExecutionProvider"]


class OnnxModel:
    """A model of the backend onnxruntime."""

    def __init__(
        self, path: Path, config: ModelConfig, thread_count: int, *, has_gpu: bool
    ) -> None:
        """Loads a graph; 0 threads uses every core, and a GPU is for models of KIND_AUTO."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Not its own 0: it knows no quota, and ties its threads to cores.
        options.intra_op_num_threads = thread_count or usable_core_count()
        for name, parameter in config.parameters.items():
            if name.startswith(_SESSION):
                options.add_session_config_entry(name, parameter.string_value)
        is_movable = any(each.kind == each.KIND_AUTO for each in config.instance_group)
        providers = execution_providers(has_gpu=has_gpu and is_movable)
        self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        self._is_on_gpu = "CUDAExecutionProvider" in self._session.get_providers()
        self._largest_row_count = 0
        # As Triton: only the outputs that the configuration names.
        self._outputs = [output.name for output in config.output]

    def run(self, inputs: Tensors) -> dict[str, np.ndarray]:
        """Runs the graph."""
        row_count = next(iter(inputs.values())).shape[0]
        # There, convolutions are planned anew, for seconds, whenever the size of a batch changes.
        if self._is_on_gpu:
            self._largest_row_count = max(self._largest_row_count, row_count)
            rows = np.minimum(np.arange(self._largest_row_count), row_count - 1)
            inputs = {name: array[rows] for name, array in inputs.items()}
        values = self._session.run(self._outputs, dict(inputs))
        return {name: value[:row_count] for name, value in zip(self._outputs, values, strict=True)}


class PublishedVersion:
    """Ensembles of a version, loaded.

    Attributes:
        configs: Configuration of each ensemble.
        models: The models that they are made of, each once.
    """

    configs: Mapping[str, ModelConfig]
    models: Mapping[str, Model]

    def __init__(
        self,
        repository: Path,
        version: int,
        ensembles: Sequence[str],
        *,
        thread_count: int = 0,
        has_gpu: bool = False,
    ) -> None:
        """Loads the models of the ensembles.

        Args:
            repository: Model repository.
            version: A version that is there.
            ensembles: Names of the ensembles.
            thread_count: Threads of each ONNX model; 0 uses every core.
            has_gpu: Whether the towers run on the first GPU.

        Raises:
            RepositoryError: If a file is missing, or a model is of a kind that this cannot run, or
                ONNX Runtime is not installed.
        """
        if importlib.util.find_spec("onnxruntime") is None:
            raise RepositoryError(
                "to run models in this process needs ONNX Runtime: uv pip install -e '.[local]'"
            )
        self.configs = {
            name: read_config(config_path(repository, name, version)) for name in ensembles
        }
        names = {
            step.model_name
            for config in self.configs.values()
            for step in config.ensemble_scheduling.step
        }
        self.models = {
            name: _load(repository, name, version, thread_count, has_gpu) for name in names
        }

    @property
    def max_batch_size(self) -> int:
        """Most rows that every ensemble takes at once."""
        return min(int(config.max_batch_size) for config in self.configs.values())

    def run(self, ensemble: str, inputs: Tensors) -> dict[str, np.ndarray]:
        """Runs an ensemble, one step after the other.

        Args:
            ensemble: Its name.
            inputs: Its inputs (B, ...) by name.

        Returns:
            Every tensor on the way by its name in the ensemble.

        Raises:
            RefusedInputError: If a model refuses what it is given.
            RepositoryError: If no step makes a tensor before another reads it.
        """
        tensors = dict(inputs)
        for step in self.configs[ensemble].ensemble_scheduling.step:
            if missing := sorted(set(step.input_map.values()) - tensors.keys()):
                raise RepositoryError(
                    f"{step.model_name} in {ensemble} reads {missing[0]}, which no step makes"
                )
            given = {own: tensors[shared] for own, shared in step.input_map.items()}
            answer = self.models[step.model_name].run(given)
            tensors |= {shared: answer[own] for own, shared in step.output_map.items()}
        return tensors


def _load(repository: Path, name: str, version: int, thread_count: int, has_gpu: bool) -> Model:
    config = read_config(config_path(repository, name, version))
    folder = repository / name / str(version)
    if config.backend == "python":
        return PythonModel(folder)
    if config.backend != "onnxruntime":
        raise RepositoryError(
            f"{name} has backend {config.backend!r}, expected 'python' or 'onnxruntime'"
        )
    path = folder / "model.onnx"
    if not path.is_file():
        raise RepositoryError(f"{path} is missing")
    return OnnxModel(path, config, thread_count, has_gpu=has_gpu)
