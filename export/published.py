"""A published version run in this process: the ensembles' steps on the very files of Triton."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.configurations import ConfigurationError, config_path, is_ensemble, read_config
from export.encoder_models import ENSEMBLES, IMAGE_ENCODER, PRODUCT_ENCODER, TEXT_ENCODER
from export.vendored import FOLDER, VendoredPackage

Tensors = Mapping[str, npt.NDArray[Any]]
Model = Callable[[Tensors], Tensors]


class PublishedVersion:
    """A version of a model repository, loaded."""

    def __init__(self, repository: Path, version: int) -> None:
        """Loads the models of all ensembles.

        Args:
            repository: Model repository.
            version: A version that is there.

        Raises:
            ConfigurationError: If a configuration is missing or asks for what this cannot run.
            OSError: If another file of the version is missing.
        """
        self._ensembles = {
            name: read_config(config_path(repository, name, version)) for name in ENSEMBLES
        }
        parts = {
            step.model_name: step.model_version
            for ensemble in self._ensembles.values()
            for step in ensemble.ensemble_scheduling.step
        }
        self._models = {
            name: _load(repository, name, part_version) for name, part_version in parts.items()
        }

    @property
    def max_batch_size(self) -> int:
        """Most rows that every ensemble takes at once."""
        return min(int(config.max_batch_size) for config in self._ensembles.values())

    def encode_photos(self, photos: Sequence[bytes]) -> Tensors:
        """Runs `image_encoder` on B photos; returns every tensor on the way by name."""
        return self._run(IMAGE_ENCODER, {"IMAGE": _column(photos)})

    def encode_texts(self, texts: Sequence[str]) -> Tensors:
        """Runs `text_encoder` on B texts; returns every tensor on the way by name."""
        return self._run(TEXT_ENCODER, {"TEXT": _column([text.encode() for text in texts])})

    def encode_products(self, photos: Sequence[bytes], texts: Sequence[str]) -> Tensors:
        """Runs `product_encoder` on B photos with their texts; returns every tensor by name."""
        texts_as_bytes = [text.encode() for text in texts]
        return self._run(
            PRODUCT_ENCODER, {"IMAGE": _column(photos), "TEXT": _column(texts_as_bytes)}
        )

    def _run(self, ensemble: str, inputs: Tensors) -> Tensors:
        tensors = dict(inputs)
        for step in self._ensembles[ensemble].ensemble_scheduling.step:
            given = {own: tensors[shared] for own, shared in step.input_map.items()}
            answer = self._models[step.model_name](given)
            tensors |= {shared: answer[own] for own, shared in step.output_map.items()}
        return tensors


def _column(rows: Sequence[bytes]) -> npt.NDArray[Any]:
    column = np.empty((len(rows), 1), dtype=np.object_)
    column[:, 0] = rows
    return column


def _load(repository: Path, name: str, version: int) -> Model:
    config = read_config(config_path(repository, name, version))
    folder = repository / name / str(version)
    if is_ensemble(config):
        raise ConfigurationError(f"{name} is an ensemble in an ensemble, which this cannot run")
    if config.backend == "onnxruntime":
        return _onnx_model(folder / "model.onnx", config)
    if name == "image_preprocess":
        return _image_preprocess(folder)
    if name == "text_preprocess":
        return _text_preprocess(folder)
    raise ConfigurationError(f"{name} has backend {config.backend!r}, which this cannot run")


def _onnx_model(path: Path, config: ModelConfig) -> Model:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in config.output]

    def run(tensors: Tensors) -> Tensors:
        """Answers only the outputs that the configuration names, as Triton does."""
        return dict(zip(names, session.run(names, dict(tensors)), strict=True))

    return run


def _image_preprocess(folder: Path) -> Model:
    package = VendoredPackage(folder / FOLDER)
    settings = _settings(package, folder)
    decode_image = package.module("images").decode_image

    def run(tensors: Tensors) -> Tensors:
        """Decodes with the sources copied into the version, never with those of training."""
        photos = tensors["IMAGE"].reshape(-1)
        return {"PIXELS": np.stack([decode_image(photo, settings) for photo in photos])}

    return run


def _text_preprocess(folder: Path) -> Model:
    package = VendoredPackage(folder / FOLDER)
    tokenizer = package.module("tokens").TextTokenizer(
        folder / "tokenizer.json", _settings(package, folder)
    )

    def run(tensors: Tensors) -> Tensors:
        """Tokenises UTF-8 texts with the version's own tokenizer, padded to one bucket."""
        tokens = tokenizer.encode([text.decode() for text in tensors["TEXT"].reshape(-1)])
        return {"INPUT_IDS": tokens.input_ids, "ATTENTION_MASK": tokens.attention_mask}

    return run


def _settings(package: VendoredPackage, folder: Path) -> Any:
    text = (folder / "settings.json").read_text("utf-8")
    return package.module("settings").PreprocessingSettings.from_json(text)
