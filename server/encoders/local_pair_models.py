"""The pair scorer of a model repository run in this process, beside the local encoder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

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
from twinshelf.server.encoders.published_version import PublishedVersion
from twinshelf.server.encoders.python_model import Tensors, bytes_column
from twinshelf.server.triton.repository import PAIR_SCORER


class LocalPairModels:
    """Walks the two models of a version; see `PairModels`."""

    def __init__(
        self, scorer: PublishedVersion | None, *, encoder_version: int, executor: Executor
    ) -> None:
        """Takes the version that was loaded.

        Args:
            scorer: The scorer; None where none was published beside the encoder.
            encoder_version: Version of the encoder.
            executor: Where the models run.

        Raises:
            EncoderContractError: If the contract cannot be read.
        """
        self._scorer = scorer
        self._encoder_version = encoder_version
        self._executor = executor
        self._contract: PairContract | None = None
        if scorer is not None:
            self._contract = PairContract.from_config(scorer.configs[PAIR_SCORER])

    @property
    def contract(self) -> PairContract:
        """The contract of the version that was loaded."""
        if self._contract is None:
            raise missing_scorer(self._encoder_version)
        return self._contract

    async def features(self, pairs: Sequence[Pair], contract: PairContract) -> Floats:
        """Describes pairs in a thread, so that the event loop goes on."""
        inputs = {
            "LEFT": bytes_column([pair.left.to_json() for pair in pairs]),
            "RIGHT": bytes_column([pair.right.to_json() for pair in pairs]),
            "COSINES": cosine_rows(pairs, contract),
        }
        answer = await self._run(FEATURES_MODEL, inputs)
        return checked_features(answer[FEATURES], len(pairs), contract)

    async def probabilities(self, features: Floats, contract: PairContract) -> Floats:
        """Scores rows in a thread."""
        answer = await self._run(CLASSIFIER_MODEL, {FEATURES: features})
        return checked_probabilities(answer[PROBABILITY], len(features))

    async def _run(self, model: str, inputs: Tensors) -> Tensors:
        assert self._scorer is not None, "whoever has a contract has the models"
        run = self._scorer.models[model].run
        return await asyncio.get_running_loop().run_in_executor(self._executor, run, inputs)
