"""Two embedders as one: that of the encoder that serves, and one for all work beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.errors import TwinshelfError
from twinshelf.server.services.embedding.admission import Work
from twinshelf.server.services.embedding.embedder import Answer, Embedder
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.telemetry.metrics import Stage


class RoutedEmbedder:
    """Embeds by any of the encoders; see `Embedder`.

    Each has places and a pulse of its own: the one beside can neither take the places of those who
    wait for the other, nor hide that it hangs, nor turn them away.
    """

    def __init__(self, *, encoders: ServingEncoders, serving: Embedder, beside: Embedder) -> None:
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
        chosen = self._serving if self._encoders.is_serving(contract) else self._beside
        return chosen.embedded(
            row,
            contract,
            path=path,
            further_cost=further_cost,
            is_patient=is_patient,
            deadline_s=deadline_s,
        )

    def answered(
        self, ask: Callable[[], Awaitable[Answer | TwinshelfError]], work: Work, stage: Stage
    ) -> AbstractAsyncContextManager[Answer]:
        """Asks for something in a place of the encoder that serves; see `Embedder`."""
        return self._serving.answered(ask, work, stage)

    async def close(self, timeout_s: float) -> None:
        """Waits until all that was sent is answered, or until the time is over."""
        await asyncio.gather(self._serving.close(timeout_s), self._beside.close(timeout_s))
