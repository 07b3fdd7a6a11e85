"""The models of a model repository, run in this process instead of by Triton."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import onnxruntime

from server.errors import EncoderContractError
from server.triton.repository import config_path, read_config

Tensor = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutput:
    """What a model made of B rows.

    Attributes:
        tensors: Name to (B, ...) array; rows that failed hold anything.
        errors: Row to the sentence that says why it failed.
    """

    tensors: Mapping[str, Tensor]
    errors: Mapping[int, str] = field(default_factory=dict)


class LocalModel(Protocol):
    """One model, composing or not."""

    def run(self, inputs: Mapping[str, Tensor]) -> ModelOutput:
        """Runs (B, ...) inputs through the model."""


class OnnxModel:
    """A model of the backend onnxruntime."""

    def __init__(self, path: Path, thread_count: int) -> None:
        """Loads a graph; 0 threads uses every core."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = thread_count
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Tensor]) -> ModelOutput:
        """Runs the graph."""
        values = self._session.run(self._outputs, dict(inputs))
        return ModelOutput(tensors=dict(zip(self._outputs, values, strict=True)))


class ImagePreprocess:
    """Files of photos to pixels, by the preprocessing that was published with the model."""

    def __init__(self, folder: Path) -> None:
        """Loads what lies in a version folder."""
        self._settings = _published_settings(folder)
        self._images = _published_module(folder, "images")

    def run(self, inputs: Mapping[str, Tensor]) -> ModelOutput:
        """Decodes IMAGE (B, 1) bytes to PIXELS (B, 3, S, S) uint8."""
        decoded = self._images.decode_images([row[0] for row in inputs["IMAGE"]], self._settings)
        size = self._settings.image_size_px
        pixels = np.zeros((len(decoded), 3, size, size), dtype=np.uint8)
        errors = {}
        for position, image in enumerate(decoded):
            if isinstance(image, Exception):
                errors[position] = str(image)
            else:
                pixels[position] = image
        return ModelOutput(tensors={"PIXELS": pixels}, errors=errors)


class TextPreprocess:
    """Texts to token ids, by the preprocessing that was published with the model."""

    def __init__(self, folder: Path) -> None:
        """Loads what lies in a version folder."""
        tokens = _published_module(folder, "tokens")
        self._tokenizer = tokens.TextTokenizer(
            folder / "tokenizer.json", _published_settings(folder)
        )

    def run(self, inputs: Mapping[str, Tensor]) -> ModelOutput:
        """Tokenises TEXT (B, 1) bytes to INPUT_IDS and ATTENTION_MASK (B, L) int64."""
        tokens = self._tokenizer.encode([row[0].decode() for row in inputs["TEXT"]])
        return ModelOutput(
            tensors={"INPUT_IDS": tokens.input_ids, "ATTENTION_MASK": tokens.attention_mask}
        )


class Ensemble:
    """Models wired together as the configuration of an ensemble says."""

    def __init__(self, config: Any, models: Mapping[str, LocalModel]) -> None:
        """Wires models up by the configuration of an ensemble."""
        self._outputs = [output.name for output in config.output]
        self._steps = [
            (models[step.model_name], dict(step.input_map), dict(step.output_map))
            for step in config.ensemble_scheduling.step
        ]

    def run(self, inputs: Mapping[str, Tensor]) -> ModelOutput:
        """Runs every step once its inputs are there.

        Raises:
            EncoderContractError: If a step waits for a tensor that no other makes.
        """
        tensors, steps = dict(inputs), list(self._steps)
        errors: dict[int, str] = {}
        while steps:
            ready = [step for step in steps if set(step[1].values()) <= set(tensors)]
            if not ready:
                raise EncoderContractError("a step of the ensemble has no source for its inputs")
            for step in ready:
                model, input_map, output_map = step
                made = model.run({name: tensors[source] for name, source in input_map.items()})
                errors.update(made.errors)
                tensors.update((output_map[name], made.tensors[name]) for name in output_map)
                steps.remove(step)
        return ModelOutput(tensors={name: tensors[name] for name in self._outputs}, errors=errors)


def load_models(
    repository: Path, model_names: Sequence[str], version: int, thread_count: int
) -> dict[str, LocalModel]:
    """Loads models, each once.

    Args:
        repository: Folder of the model repository.
        model_names: Names of the models; none is an ensemble.
        version: Version of all of them.
        thread_count: Threads of each ONNX model; 0 uses every core.

    Raises:
        EncoderContractError: If one has a backend that is unknown here, or no preprocessing.
        RepositoryError: If one is not published.
    """
    models: dict[str, LocalModel] = {}
    for name in model_names:
        config = read_config(config_path(repository, name, version))
        folder = repository / name / str(version)
        inputs = {tensor.name for tensor in config.input if not tensor.optional}
        if config.backend == "onnxruntime":
            models[name] = OnnxModel(folder / "model.onnx", thread_count)
        elif config.backend == "python" and inputs == {"IMAGE"}:
            models[name] = ImagePreprocess(folder)
        elif config.backend == "python" and inputs == {"TEXT"}:
            models[name] = TextPreprocess(folder)
        else:
            raise EncoderContractError(
                f"{name} has the backend {config.backend!r} and the inputs {sorted(inputs)}; "
                "this process runs onnxruntime and the preprocessing of photos and texts"
            )
    return models


def _published_settings(folder: Path) -> Any:
    settings = _published_module(folder, "settings")
    return settings.PreprocessingSettings.from_json((folder / "settings.json").read_text())


def _published_module(folder: Path, name: str) -> ModuleType:
    """Imports a module of the preprocessing that lies in a version folder.

    Each folder becomes a package of its own name, so that two versions can live side by side.
    """
    source = (folder / "preprocessing").resolve()
    package = "published_preprocessing_" + hashlib.sha256(str(source).encode()).hexdigest()[:16]
    if package not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            package, source / "__init__.py", submodule_search_locations=[str(source)]
        )
        if spec is None or spec.loader is None or not source.is_dir():
            raise EncoderContractError(f"{source} holds no preprocessing")
        module = importlib.util.module_from_spec(spec)
        sys.modules[package] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[package]
            raise
    return importlib.import_module(f"{package}.{name}")
