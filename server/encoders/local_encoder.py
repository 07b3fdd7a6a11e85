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
from server.encoders.embedding import OfferEmbedding, split_output
from server.encoders.encoder import EncoderInput
from server.encoders.local_models import Ensemble, load_models
from server.encoders.modalities import Pattern
from server.errors import (
    EncoderContractError,
    EncoderFailedError,
    EncoderUnavailableError,
    InvalidRequestError,
    TwinshelfError,
)
from server.triton.repository import (
    RepositoryError,
    check_version,
    config_path,
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
            EncoderContractError: If the version is not published or cannot be used.
        """
        try:
            version = version or newest_version(repository)
            check_version(repository, version)
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

    async def close(self) -> None:
        """Waits for what is being embedded. A repeat is safe."""
        await asyncio.to_thread(self._executor.shutdown)

    async def encode(
        self, inputs: Sequence[EncoderInput], contract: EncoderContract
    ) -> list[OfferEmbedding | TwinshelfError]:
        """Embeds rows in a thread, so that the event loop goes on; each row fails alone."""
        if contract != self._contract:
            return [EncoderUnavailableError("another encoder serves; repeat the request")] * len(
                inputs
            )
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self.encode_now, inputs)

    def encode_now(self, inputs: Sequence[EncoderInput]) -> list[OfferEmbedding | TwinshelfError]:
        """Embeds rows in the calling thread; each row fails alone."""
        results: dict[int, OfferEmbedding | TwinshelfError] = {}
        for pattern in ENSEMBLES:
            positions = [i for i, row in enumerate(inputs) if row.pattern is pattern]
            for start in range(0, len(positions), self._contract.max_batch_size):
                chunk = positions[start : start + self._contract.max_batch_size]
                rows = self._encode_chunk([inputs[i] for i in chunk], pattern)
                results.update(zip(chunk, rows, strict=True))
        return [results[i] for i in range(len(inputs))]

    def _encode_chunk(
        self, rows: Sequence[EncoderInput], pattern: Pattern
    ) -> list[OfferEmbedding | TwinshelfError]:
        tensors = {}
        if pattern.has_image:
            tensors["IMAGE"] = _bytes_tensor([row.image or b"" for row in rows])
        if pattern.has_text:
            tensors["TEXT"] = _bytes_tensor([(row.text or "").encode() for row in rows])
        output = self._ensembles[pattern].run(tensors)
        embeddings = output.tensors[self._outputs[pattern]]
        return [
            _invalid(output.errors[i], rows[i])
            if i in output.errors
            else self._embedding(embeddings[i], pattern)
            for i in range(len(rows))
        ]

    def _embedding(self, row: np.ndarray, pattern: Pattern) -> OfferEmbedding | TwinshelfError:
        try:
            return split_output(row.astype(np.float32), pattern, self._contract)
        except ValueError as error:
            logger.error("%s answered with no embedding: %s", ENSEMBLES[pattern], error)
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


def _invalid(sentence: str, row: EncoderInput) -> InvalidRequestError:
    return InvalidRequestError(sentence, field="image" if row.image is not None else "text")


def _bytes_tensor(values: Sequence[bytes]) -> np.ndarray:
    tensor = np.empty((len(values), 1), dtype=np.object_)  # (B, 1)
    tensor[:, 0] = values
    return tensor
