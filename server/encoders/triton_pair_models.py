"""The pair scorer that a Triton server runs beside the encoder, asked over gRPC."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from twinshelf.server.encoders.embedding import Floats
from twinshelf.server.encoders.pair_contract import (
    CLASSIFIER_MODEL,
    FEATURES_MODEL,
    PairContract,
    missing_scorer,
)
from twinshelf.server.encoders.pair_models import (
    FEATURES,
    PROBABILITY,
    Pair,
    checked_features,
    checked_probabilities,
    cosine_rows,
)
from twinshelf.server.encoders.python_model import Tensors, bytes_column
from twinshelf.server.encoders.triton_errors import is_away, is_missing, sentence_of
from twinshelf.server.errors import (
    EncoderFailedError,
    EncoderUnavailableError,
    TwinshelfError,
)
from twinshelf.server.telemetry.tracing import trace_headers
from twinshelf.server.triton.repository import PAIR_SCORER

logger = logging.getLogger(__name__)


class TritonPairModels:
    """The two models of one Triton server; see `PairModels`."""

    def __init__(self, client: InferenceServerClient, *, address: str, timeout_s: float) -> None:
        """Takes the client of the encoder.

        Args:
            client: Speaks to Triton.
            address: host:port of Triton, for messages.
            timeout_s: Longest wait for the contract.
        """
        self._client = client
        self._address = address
        self._timeout_s = timeout_s
        self._state: PairContract | TwinshelfError = EncoderUnavailableError(
            f"Triton at {address} has not been reached yet; repeat the request"
        )

    @property
    def contract(self) -> PairContract:
        """The contract that was read last."""
        if isinstance(self._state, TwinshelfError):
            # A fresh one: a raised error gathers the tracebacks of all who raise it.
            raise type(self._state)(self._state.message)
        return self._state

    async def refresh(self, encoder_version: int) -> None:
        """Reads the contract anew; raises nothing, for the encoder serves without a scorer, too.

        Args:
            encoder_version: Version of the encoder that Triton serves.
        """
        try:
            answer = await self._client.get_model_config(
                PAIR_SCORER, client_timeout=self._timeout_s
            )
            self._state = PairContract.from_config(answer.config)
        except InferenceServerException as error:
            self._state = (
                missing_scorer(encoder_version) if is_missing(error) else self._away(error)
            )
        except TwinshelfError as error:
            self._state = error

    async def features(self, pairs: Sequence[Pair], contract: PairContract) -> Floats:
        """Describes pairs, as one request: they are of one caller."""
        inputs = {
            "LEFT": bytes_column([pair.left.to_json() for pair in pairs]),
            "RIGHT": bytes_column([pair.right.to_json() for pair in pairs]),
            "COSINES": cosine_rows(pairs, contract),
        }
        answer = await self._infer(FEATURES_MODEL, inputs, FEATURES, contract)
        return checked_features(answer, len(pairs), contract)

    async def probabilities(self, features: Floats, contract: PairContract) -> Floats:
        """Scores rows, as one request."""
        answer = await self._infer(CLASSIFIER_MODEL, {FEATURES: features}, PROBABILITY, contract)
        return checked_probabilities(answer, len(features))

    async def _infer(
        self, model: str, inputs: Tensors, output: str, contract: PairContract
    ) -> np.ndarray | None:
        tensors = []
        for name, rows in inputs.items():
            tensor = InferInput(name, list(rows.shape), np_to_triton_dtype(rows.dtype))
            tensors.append(tensor.set_data_from_numpy(rows))
        try:
            result = await self._client.infer(
                model,
                tensors,
                # By number: when Triton serves another version by now, this fails.
                model_version=str(contract.version),
                outputs=[InferRequestedOutput(output)],
                headers=trace_headers(),
            )
        except InferenceServerException as error:
            if is_away(error):
                raise self._away(error) from None
            logger.error("%s failed on a request: %s %s", model, error.status(), error.message())
            raise EncoderFailedError(
                "the pair scorer failed; the log of the server has the reason"
            ) from None
        answer: np.ndarray | None = result.as_numpy(output)
        return answer

    def _away(self, error: InferenceServerException) -> EncoderUnavailableError:
        return EncoderUnavailableError(
            f"the pair scorer of Triton at {self._address} could not answer: {sentence_of(error)}"
        )
