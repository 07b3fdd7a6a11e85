"""Embedders as one: those of the encoder that serves, and those for all work beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.errors import TwinshelfError
from twinshelf.server.services.embedding.admission import Work
from twinshelf.server.services.embedding.embedder import Answer, Embedder
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.telemetry.metrics import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """What asks one encoder, and what asks the pair scorer beside it.

    Each has places of its own: a scorer that hangs keeps none of those who match.
    """

    rows: Embedder
    pairs: Embedder


class RoutedEmbedder:
    """Embeds by any of the encoders; see `Embedder`.

    Each has places and a pulse of its own: the one beside can neither take the places of those who
    wait for the other, nor hide that it hangs, nor turn them away.
    """

    def __init__(self, *, encoders: ServingEncoders, serving: Lanes, beside: Lanes) -> None:
        """Takes the two."""
        self._encoders = encoders
        self._serving = serving
        self._beside = beside

    def embedded(
        self,
        row: EncoderInput,
        contract: EncoderContract,
        *,
        path: str,
        further_cost: float = 0.0,
        is_patient: bool,
        deadline_s: float | None,
    ) -> AbstractAsyncContextManager[OfferEmbedding]:
        """Embeds a row by the encoder of a contract, and keeps its place; see `Embedder`."""
        return self._lanes(contract).rows.embedded(
            row,
            contract,
            path=path,
            further_cost=further_cost,
            is_patient=is_patient,
            deadline_s=deadline_s,
        )

    def answered(
        self,
        ask: Callable[[], Awaitable[Answer | TwinshelfError]],
        work: Work,
        stage: Stage,
        contract: EncoderContract,
    ) -> AbstractAsyncContextManager[Answer]:
        """Asks the pair scorer beside the encoder of a contract; see `Embedder`."""
        return self._lanes(contract).pairs.answered(ask, work, stage)

    async def close(self, timeout_s: float) -> None:
        """Waits until all that was sent is answered, or until the time is over."""
        lanes = (self._serving, self._beside)
        embedders = [each for lane in lanes for each in (lane.rows, lane.pairs)]
        await asyncio.gather(*(each.close(timeout_s) for each in embedders))

    def _lanes(self, contract: EncoderContract) -> Lanes:
        return self._serving if self._encoders.is_serving(contract) else self._beside
