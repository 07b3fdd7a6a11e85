"""The encoder that a Triton server runs, asked over gRPC."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import grpc
import numpy as np
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.grpc.service_pb2 import ModelStatisticsResponse
from tritonclient.utils import InferenceServerException

from twinshelf.server.encoders.contract import ENSEMBLES, PARAMETER, EncoderContract
from twinshelf.server.encoders.embedding import Floats, OfferEmbedding, checked_half, join_halves
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.encoders.triton_errors import is_away, is_missing, sentence_of
from twinshelf.server.encoders.triton_pair_models import TritonPairModels
from twinshelf.server.errors import (
    EncoderChangedError,
    EncoderContractError,
    EncoderFailedError,
    EncoderMismatchError,
    EncoderUnavailableError,
    InvalidRequestError,
    TwinshelfError,
)
from twinshelf.server.telemetry.tracing import trace_headers

logger = logging.getLogger(__name__)
OUTPUTS = {Pattern.IMAGE: "IMAGE_EMBEDDING", Pattern.TEXT: "TEXT_EMBEDDING"}
_CHANNEL_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC would wait up to two minutes before it looks again for a server that has come back.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
    # Triton is ours and near: a proxy that is set for the web must not be asked for it.
    ("grpc.enable_http_proxy", 0),
    # Inferences have no deadline of their own (see `encode`): a machine that is gone is noticed so.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]


class TritonEncoder:
    """One long-lived client of one Triton server. Belongs to the event loop it was opened in."""

    def __init__(
        self, client: InferenceServerClient, *, address: str, version: int, timeout_s: float
    ) -> None:
        """Takes the client; `open` makes one."""
        self._client = client
        self._address = address
        self._version = version
        self._timeout_s = timeout_s
        self._state: EncoderContract | TwinshelfError = EncoderUnavailableError(
            f"Triton at {address} has not been reached yet; repeat the request"
        )
        self._refreshing: asyncio.Task[EncoderContract] | None = None
        self._pairs = TritonPairModels(client, address=address, timeout_s=timeout_s)

    @classmethod
    async def open(cls, address: str, *, version: int, timeout_s: float) -> TritonEncoder:
        """Makes the client; connects when it is first used.

        Args:
            address: host:port of Triton's gRPC service.
            version: Encoder version to insist on; 0 takes the one that Triton serves.
            timeout_s: Longest wait for the contract.
        """
        client = InferenceServerClient(url=address, channel_args=_CHANNEL_OPTIONS)
        return cls(client, address=address, version=version, timeout_s=timeout_s)

    async def close(self) -> None:
        """Closes the connection. A repeat is safe."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        await self._client.close()

    @property
    def contract(self) -> EncoderContract:
        """The contract that was read last.

        Raises:
            EncoderUnavailableError: If Triton is away.
            EncoderContractError: If it serves no encoder of ours.
            EncoderMismatchError: If it serves another version than the configuration insists on.
        """
        if isinstance(self._state, TwinshelfError):
            # A fresh one: a raised error gathers the tracebacks of all who raise it.
            raise type(self._state)(self._state.message, facts=self._state.facts)
        return self._state

    @property
    def pairs(self) -> TritonPairModels:
        """The pair scorer beside the encoder."""
        return self._pairs

    async def refresh(self) -> EncoderContract:
        """Reads the contract anew.

        Raises:
            EncoderUnavailableError: If Triton is away.
            EncoderContractError: If it serves no encoder of ours.
            EncoderMismatchError: If it serves another version than the configuration insists on.
        """
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.ensure_future(self._refresh())
        return await asyncio.shield(self._refreshing)

    async def statistics(self) -> ModelStatisticsResponse | None:
        """Returns what Triton counts of its models; None when it does not answer."""
        try:
            answer: ModelStatisticsResponse = await self._client.get_inference_statistics(
                client_timeout=self._timeout_s
            )
        except InferenceServerException:
            return None
        return answer

    async def encode(
        self, inputs: Sequence[EncoderInput], contract: EncoderContract
    ) -> list[OfferEmbedding | TwinshelfError]:
        """Embeds rows, each by requests of its own: Triton batches them, and each fails alone.

        Photo and text are asked for apart and at the same time: the two towers need not wait for
        one another, and an error says whose it is. Takes as long as Triton takes. Must not be
        cancelled: Triton dies of cancelled inferences.
        """
        return list(await asyncio.gather(*(self._encode(row, contract) for row in inputs)))

    async def _refresh(self) -> EncoderContract:
        try:
            contract = await self._read_contract()
        except TwinshelfError as error:
            self._state = error
            raise
        if contract != self._state:
            self._state = contract
        await self._pairs.refresh(contract.version)
        assert isinstance(self._state, EncoderContract)
        return self._state

    async def _read_contract(self) -> EncoderContract:
        # One after the other: when Triton is away, the reason is the same each time.
        texts = [await self._read_parameter(name) for name in ENSEMBLES.values()]
        if len(set(texts)) != 1:
            raise EncoderContractError(
                f"the ensembles of Triton at {self._address} were not published together; "
                "publish the encoder again"
            )
        contract = EncoderContract.from_json(texts[0])
        if self._version not in (0, contract.version):
            raise EncoderMismatchError(
                f"the server insists on encoder version {self._version}, "
                f"but Triton at {self._address} serves version {contract.version}"
            )
        return contract

    async def _read_parameter(self, model_name: str) -> str:
        try:
            answer = await self._client.get_model_config(model_name, client_timeout=self._timeout_s)
        except InferenceServerException as error:
            raise self._contract_error(error, model_name) from None
        text: str = answer.config.parameters[PARAMETER].string_value
        if not text:
            raise EncoderContractError(
                f"{model_name} of Triton at {self._address} has no parameter {PARAMETER}; "
                "expected a model that `python -m twinshelf.export` published"
            )
        return text

    def _contract_error(
        self, error: InferenceServerException, model_name: str
    ) -> EncoderUnavailableError:
        """Says why the contract of a model could not be read."""
        status, sentence = error.status(), sentence_of(error)
        if status == str(grpc.StatusCode.DEADLINE_EXCEEDED):
            return self._too_late()
        if is_missing(error):
            return EncoderUnavailableError(
                f"Triton at {self._address} does not serve {model_name}: {sentence}"
            )
        if status == str(grpc.StatusCode.UNAVAILABLE):
            return EncoderUnavailableError(
                f"Triton cannot be reached at {self._address}, start it with `make triton`: "
                f"{sentence}"
            )
        return EncoderUnavailableError(f"Triton at {self._address} could not answer: {sentence}")

    def _too_late(self) -> EncoderUnavailableError:
        return EncoderUnavailableError(
            f"Triton at {self._address} did not answer within {self._timeout_s:g} s; "
            "repeat the request"
        )

    async def _encode(
        self, row: EncoderInput, contract: EncoderContract
    ) -> OfferEmbedding | TwinshelfError:
        image, text = await asyncio.gather(
            self._half(Pattern.IMAGE, row.image, contract),
            self._half(Pattern.TEXT, None if row.text is None else row.text.encode(), contract),
        )
        if isinstance(self._state, EncoderContract) and contract != self._state:
            return EncoderChangedError("the encoder has just changed; repeat the request")
        return join_halves(image, text)

    async def _half(
        self, modality: Pattern, value: bytes | None, contract: EncoderContract
    ) -> Floats | TwinshelfError | None:
        if value is None:
            return None
        tensor = InferInput(modality.name, [1, 1], "BYTES")  # never shared, for it is mutable
        tensor.set_data_from_numpy(np.array([[value]], dtype=np.object_))
        try:
            result = await self._client.infer(
                ENSEMBLES[modality],
                [tensor],
                # By number: when Triton serves another version by now, this fails.
                model_version=str(contract.version),
                outputs=[InferRequestedOutput(OUTPUTS[modality])],
                headers=trace_headers(),
            )
        except InferenceServerException as error:
            return await self._row_error(error, modality)
        try:
            row = np.array(result.as_numpy(OUTPUTS[modality])[0], dtype=np.float32)
            return checked_half(row, contract.dimension_of(modality))
        except (ValueError, TypeError, IndexError) as error:
            logger.error("%s answered with no embedding: %s", ENSEMBLES[modality], error)
            return EncoderFailedError("the encoder answered with something that is no embedding")

    async def _row_error(
        self, error: InferenceServerException, modality: Pattern
    ) -> TwinshelfError:
        status = error.status()
        if status == str(grpc.StatusCode.INVALID_ARGUMENT):
            return InvalidRequestError(sentence_of(error), field=modality.key)
        if is_away(error):
            # Perhaps it is gone, perhaps only busy: what it says of itself decides for the others.
            try:
                await self.refresh()
            except TwinshelfError as reason:
                return reason
            return EncoderUnavailableError(
                f"Triton at {self._address} could not answer: {sentence_of(error)}"
            )
        logger.error("Triton failed on a request: %s %s", status, error.message())
        return EncoderFailedError("the encoder failed; the log of the server has the reason")
