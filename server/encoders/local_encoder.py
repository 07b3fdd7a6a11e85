"""The encoder of a model repository run in this process: for where no Triton runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.encoders.contract import ENSEMBLES, PARAMETER, EncoderContract
from server.encoders.embedding import Floats, OfferEmbedding, checked_half, join_halves
from server.encoders.encoder import EncoderInput
from server.encoders.local_models import Ensemble, load_models
from server.encoders.modalities import Pattern
from server.errors import (
    EncoderChangedError,
    EncoderContractError,
    EncoderFailedError,
    InvalidRequestError,
    TwinshelfError,
)
from server.triton.manifest import check_files, read_manifests
from server.triton.repository import (
    ENCODERS,
    RepositoryError,
    check_version,
    config_path,
    models_with_steps,
    newest_version,
    read_config,
)

logger = logging.getLogger(__name__)


class LocalEncoder:
    """Walks the ensembles of a model repository with ONNX Runtime on the CPU."""

    def __init__(self, repository: Path, version: int = 0, *, thread_count: int = 0) -> None:
        """Loads the models.

        Args:
            repository: Folder of the model repository.
            version: Version to load; 0 takes the newest.
            thread_count: Threads of each ONNX model; 0 uses every core.

        Raises:
            EncoderContractError: If the version is not published, if a file of it is no longer what
                was published, or if it cannot be used.
        """
        try:
            version = version or newest_version(repository)
            check_version(repository, version)
            every_model = models_with_steps(repository, ENCODERS, version)
            check_files(repository, version, every_model, read_manifests(repository, version))
            configs = {
                pattern: read_config(config_path(repository, name, version))
                for pattern, name in ENSEMBLES.items()
            }
            self._contract = _shared_contract(configs.values(), repository, version)
            names = sorted(
                {step.model_name for c in configs.values() for step in c.ensemble_scheduling.step}
            )
            models = load_models(repository, names, version, thread_count)
        except RepositoryError as error:
            raise EncoderContractError(str(error)) from error
        self._ensembles = {p: Ensemble(config, models) for p, config in configs.items()}
        self._outputs = {p: config.output[0].name for p, config in configs.items()}
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="local-encoder")

    @property
    def contract(self) -> EncoderContract:
        """The contract of the version that was loaded."""
        return self._contract

    async def refresh(self) -> EncoderContract:
        """Returns the contract; what is loaded never changes."""
        return self._contract

    async def statistics(self) -> None:
        """Returns None, for there is no Triton here."""

    async def close(self) -> None:
        """Waits for what is being embedded. A repeat is safe."""
        await asyncio.to_thread(self._executor.shutdown)

    async def encode(
        self, inputs: Sequence[EncoderInput], contract: EncoderContract
    ) -> list[OfferEmbedding | TwinshelfError]:
        """Embeds rows in a thread, so that the event loop goes on; each row fails alone."""
        if contract != self._contract:
            return [EncoderChangedError("another encoder serves; repeat the request")] * len(inputs)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self.encode_now, inputs)

    def encode_now(self, inputs: Sequence[EncoderInput]) -> list[OfferEmbedding | TwinshelfError]:
        """Embeds rows in the calling thread; each row fails alone."""
        image = self._halves(Pattern.IMAGE, [row.image for row in inputs])
        text = self._halves(
            Pattern.TEXT, [None if row.text is None else row.text.encode() for row in inputs]
        )
        return [join_halves(*halves) for halves in zip(image, text, strict=True)]

    def _halves(
        self, modality: Pattern, values: Sequence[bytes | None]
    ) -> list[Floats | TwinshelfError | None]:
        """Embeds the values of one modality; None stays None."""
        halves: list[Floats | TwinshelfError | None] = [None] * len(values)
        there = [i for i, value in enumerate(values) if value is not None]
        for start in range(0, len(there), self._contract.max_batch_size):
            chunk = there[start : start + self._contract.max_batch_size]
            output = self._ensembles[modality].run({modality.name: _bytes_tensor(values, chunk)})
            rows = output.tensors[self._outputs[modality]]
            for place, i in enumerate(chunk):
                if place in output.errors:
                    halves[i] = InvalidRequestError(output.errors[place], field=modality.key)
                else:
                    halves[i] = self._half(modality, rows[place])
        return halves

    def _half(self, modality: Pattern, row: np.ndarray) -> Floats | TwinshelfError:
        try:
            return checked_half(row.astype(np.float32), self._contract.dimension_of(modality))
        except ValueError as error:
            logger.error("%s answered with no embedding: %s", ENSEMBLES[modality], error)
            return EncoderFailedError("the encoder answered with something that is no embedding")


def _shared_contract(
    configs: Iterable[ModelConfig], repository: Path, version: int
) -> EncoderContract:
    texts = {config.parameters[PARAMETER].string_value for config in configs}
    if len(texts) != 1 or not all(texts):
        raise EncoderContractError(
            f"the ensembles of version {version} in {repository} need one parameter "
            f"{PARAMETER} between them; publish the encoder again"
        )
    return EncoderContract.from_json(texts.pop())


def _bytes_tensor(values: Sequence[bytes | None], positions: Sequence[int]) -> np.ndarray:
    tensor = np.empty((len(positions), 1), dtype=np.object_)  # (B, 1)
    tensor[:, 0] = [values[i] for i in positions]
    return tensor
