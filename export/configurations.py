"""Triton configurations of a version: the committed `config.pbtxt` with nothing left open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelWarmup

from twinshelf.server.triton.repository import RepositoryError

RGB = 3
PARAMETER = "twinshelf_contract"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderShape:
    """The sizes that an encoder brings and the committed configurations leave open.

    Attributes:
        image_size_px: Side of the square that the image tower reads.
        token_buckets: Token counts that texts are padded to, rising.
        image_dim: Length of the image's half of an embedding.
        text_dim: Length of the text's half.
    """

    image_size_px: int
    token_buckets: tuple[int, ...]
    image_dim: int
    text_dim: int

    def dims(self, tensor: str, found: Sequence[int]) -> list[int]:
        """Returns the dimensions of a tensor, batch left out; those found for all other names."""
        exact = {
            "PIXELS": [RGB, self.image_size_px, self.image_size_px],
            "IMAGE_EMBEDDING": [self.image_dim],
            "TEXT_EMBEDDING": [self.text_dim],
            "EMBEDDING": [self.image_dim + self.text_dim],
        }
        return exact.get(tensor, list(found))


def write_config(config: ModelConfig, path: Path) -> None:
    """Writes a Triton configuration as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text_format.MessageToString(config, as_utf8=True), "utf-8")


def is_ensemble(config: ModelConfig) -> bool:
    """Says whether a model is made of others."""
    return bool(config.ensemble_scheduling.step)


def pin_version(config: ModelConfig, version: int) -> ModelConfig:
    """Returns a copy that loads one version alone; ensembles use this version of their parts."""
    pinned = ModelConfig()
    pinned.CopyFrom(config)
    pinned.version_policy.specific.versions[:] = [version]
    for step in pinned.ensemble_scheduling.step:
        step.model_version = version
    return pinned


def pin_config(config: ModelConfig, *, version: int, shape: EncoderShape) -> ModelConfig:
    """Returns a copy of a committed configuration that holds for one version alone.

    Args:
        config: The committed configuration.
        version: The version that it is to load.
        shape: The exact sizes; the native backend refuses -1 against a fixed one of the graph.
    """
    pinned = pin_version(config, version)
    for tensor in (*pinned.input, *pinned.output):
        tensor.dims[:] = shape.dims(tensor.name, tensor.dims)
    _pin_warmup(pinned, shape)
    return pinned


def check_batch_sizes(configs: Mapping[str, ModelConfig]) -> None:
    """Checks that the parts of each ensemble take as many rows at once as it does.

    Args:
        configs: Name of each model of a version to its configuration.

    Raises:
        RepositoryError: If one takes fewer, for which Triton would not load the ensemble.
    """
    for name, ensemble in configs.items():
        for step in ensemble.ensemble_scheduling.step:
            most = configs[step.model_name].max_batch_size
            if most < ensemble.max_batch_size:
                raise RepositoryError(
                    f"{step.model_name} has max_batch_size {most} and {name}, of which it is a "
                    f"part, {ensemble.max_batch_size}, which Triton does not load: give both the "
                    "same in their config.pbtxt"
                )


def stamp_contract(config: ModelConfig, contract_json: str) -> None:
    """Puts the encoder contract into an ensemble's parameters, in place."""
    config.parameters[PARAMETER].string_value = contract_json


def stamped_contract(config: ModelConfig) -> str | None:
    """Returns the contract that a configuration holds, as JSON; None when it holds none."""
    return config.parameters[PARAMETER].string_value if PARAMETER in config.parameters else None


def _pin_warmup(config: ModelConfig, shape: EncoderShape) -> None:
    for sample in config.model_warmup:
        for name, tensor in sample.inputs.items():
            tensor.dims[:] = shape.dims(name, tensor.dims)
    if config.name == "text_tower":
        samples = list(_bucket_samples(config.model_warmup, shape.token_buckets))
        del config.model_warmup[:]
        config.model_warmup.extend(samples)


def _bucket_samples(
    committed: Iterable[ModelWarmup], buckets: Sequence[int]
) -> Iterable[ModelWarmup]:
    """Repeats the committed samples for every length that the tower will see."""
    for sample in committed:
        for bucket in buckets:
            repeated = ModelWarmup()
            repeated.CopyFrom(sample)
            repeated.name = f"{sample.name}_{bucket}"
            for tensor in repeated.inputs.values():
                tensor.dims[:] = [bucket]
            yield repeated
