"""The encoder of a model repository run in this process: for where no Triton runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from twinshelf.server.encoders.contract import ENSEMBLES, PARAMETER, EncoderContract
from twinshelf.server.encoders.embedding import Floats, OfferEmbedding, checked_half, join_halves
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.local_pair_models import LocalPairModels
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.encoders.published_version import PublishedVersion
from twinshelf.server.encoders.python_model import RefusedInputError, bytes_column
from twinshelf.server.errors import (
    EncoderChangedError,
    EncoderContractError,
    EncoderFailedError,
    InvalidRequestError,
    TwinshelfError,
)
from twinshelf.server.triton.manifest import check_files, read_manifests
from twinshelf.server.triton.plan import has_gpu
from twinshelf.server.triton.repository import (
    PAIR_SCORER,
    RepositoryError,
    check_version,
    config_path,
    models_with_steps,
    newest_version,
    read_config,
    served_models,
)

logger = logging.getLogger(__name__)
# Texts are padded to the longest beside them, which a CPU pays for: few at a time, of like length.
_TEXTS_AT_ONCE = 8


class LocalEncoder:
    """Walks the ensembles of a model repository with ONNX Runtime, the towers on a GPU if there."""

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
        self._has_gpu = has_gpu()
        try:
            version = version or newest_version(repository)
            check_version(repository, version)
            served = served_models(repository, version)
            every_model = models_with_steps(repository, served, version)
            manifests = read_manifests(repository, version)
            check_files(repository, version, every_model, manifests)
            self._version = PublishedVersion(
                repository,
                version,
                tuple(ENSEMBLES.values()),
                thread_count=thread_count,
                has_gpu=self._has_gpu,
            )
            scorer = (
                PublishedVersion(repository, version, (PAIR_SCORER,), thread_count=thread_count)
                if PAIR_SCORER in served
                else None
            )
            self._contract = EncoderContract.from_json(contract_document(repository, version))
            if read_manifests(repository, version) != manifests:
                raise RepositoryError(
                    f"version {version} in {repository} was published anew while it was loaded; "
                    "start again"
                )
        except RepositoryError as error:
            raise EncoderContractError(str(error)) from error
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="local-encoder")
        self._pairs = LocalPairModels(scorer, encoder_version=version, executor=self._executor)

    @property
    def contract(self) -> EncoderContract:
        """The contract of the version that was loaded."""
        return self._contract

    @property
    def pairs(self) -> LocalPairModels:
        """The pair scorer beside the encoder."""
        return self._pairs

    async def refresh(self) -> EncoderContract:
        """Returns the contract; what is loaded never changes."""
        return self._contract

    async def statistics(self) -> None:
        """Returns None, for there is no Triton here."""

    async def close(self) -> None:
        """Waits for what is being embedded; what waits behind it is dropped. A repeat is safe."""
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)

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
        there = [(i, value) for i, value in enumerate(values) if value is not None]
        size = self._contract.max_batch_size
        if modality is Pattern.TEXT and not self._has_gpu:
            there.sort(key=lambda each: len(each[1]))
            size = min(size, _TEXTS_AT_ONCE)
        for start in range(0, len(there), size):
            places, rows = zip(*there[start : start + size], strict=True)
            for i, half in zip(places, self._run(modality, rows), strict=True):
                halves[i] = half
        return halves

    def _run(self, modality: Pattern, rows: Sequence[bytes]) -> Sequence[Floats | TwinshelfError]:
        """Runs rows together, and each by itself when one of them is refused or fails."""
        ensemble = ENSEMBLES[modality]
        output = self._version.configs[ensemble].output[0].name
        try:
            tensors = self._version.run(ensemble, {modality.name: bytes_column(rows)})
        except Exception as error:  # ONNX Runtime has a dozen of its own
            if len(rows) > 1:
                return [half for row in rows for half in self._run(modality, [row])]
            if isinstance(error, RefusedInputError):
                return [InvalidRequestError(str(error), field=modality.key)]
            logger.exception("%s failed on a row", ensemble)
            return [EncoderFailedError("the encoder failed; the log has the reason")]
        return [self._half(modality, row) for row in tensors[output]]

    def _half(self, modality: Pattern, row: np.ndarray) -> Floats | TwinshelfError:
        try:
            return checked_half(row.astype(np.float32), self._contract.dimension_of(modality))
        except ValueError as error:
            logger.error("%s answered with no embedding: %s", ENSEMBLES[modality], error)
            return EncoderFailedError("the encoder answered with something that is no embedding")


def contract_document(repository: Path, version: int) -> str:
    """Returns the contract that `export` stamped into the ensembles of a version, as JSON.

    Raises:
        EncoderContractError: If there is none, or not one for all of them.
        RepositoryError: If a configuration is missing or is none.
    """
    configs = [read_config(config_path(repository, name, version)) for name in ENSEMBLES.values()]
    texts = {str(config.parameters[PARAMETER].string_value) for config in configs}
    if len(texts) != 1 or not all(texts):
        raise EncoderContractError(
            f"the ensembles of version {version} in {repository} need one parameter "
            f"{PARAMETER} between them; publish the encoder again"
        )
    return texts.pop()
