"""Asking the encoder, and the pair scorer beside it, under admission, without ever cancelling.

Cancelled inferences crash Triton (upstream server issues 7368 and 8034). So what was sent runs to
its end in a task of its own, and keeps its place until then; only those who wait may leave.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding, join_halves
from twinshelf.server.encoders.embedding_cache import EmbeddingCache, Remembered
from twinshelf.server.encoders.encoder import Encoder, EncoderInput
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import (
    EncoderChangedError,
    EncoderUnavailableError,
    InvalidRequestError,
    TwinshelfError,
)
from twinshelf.server.services.embedding.admission import Admission, Work
from twinshelf.server.services.embedding.costs import embedding_cost
from twinshelf.server.services.embedding.encoder_pulse import EncoderPulse, fresh
from twinshelf.server.telemetry.metrics import Metrics, Stage
from twinshelf.server.telemetry.tracing import span

Answer = TypeVar("Answer")
# Models name the row of their batch; here each row is asked for alone.
_FIRST_ROW = "row 0: "


class Embedder:
    """Asks one thing at a time for each of many callers. Belongs to one event loop."""

    def __init__(
        self,
        *,
        encoder: Encoder,
        admission: Admission,
        pulse: EncoderPulse,
        cache: EmbeddingCache,
        encode_timeout_s: float,
        metrics: Metrics,
        asked: str = "encoder",
    ) -> None:
        """Takes the parts that it works with, and what errors call the one that is asked."""
        self._encoder = encoder
        self._admission = admission
        self._pulse = pulse
        self._cache = cache
        self._encode_timeout_s = encode_timeout_s
        self._metrics = metrics
        self._asked = asked
        self._answered_s = -math.inf
        self._jobs: set[asyncio.Future[Any]] = set()
        self._late: set[asyncio.Future[Any]] = set()
        pulse.listen(lambda error: admission.turn_away(lambda: fresh(error)))

    @asynccontextmanager
    async def embedded(
        self,
        row: EncoderInput,
        contract: EncoderContract,
        *,
        path: str,
        further_cost: float = 0.0,
        is_patient: bool,
        deadline_s: float | None,
    ) -> AsyncIterator[OfferEmbedding]:
        """Embeds a row, and keeps its place while the body uses the embedding.

        So admission measures, and bounds, the search that follows as well.

        Args:
            row: A photo, a text, or both.
            contract: The contract that the row was made for.
            path: Path of the message that the row was made of, for the fields of errors.
            further_cost: What the body costs.
            is_patient: Whether it may wait for a place as long as it takes.
            deadline_s: When the caller will have gone, by `time.monotonic`; None never.

        Raises:
            InvalidRequestError: If the row cannot be embedded.
            ServerBusyError: If it would wait too long for a place.
            EncoderUnavailableError: If the encoder is away, or does not answer in time.
            TwinshelfError: If the encoder fails otherwise.
        """
        known = self._cache.recall(row, contract)
        work = Work(
            # What is remembered takes no time, which says nothing of how long the rest takes.
            pattern=known.rest.pattern if known.rest else Pattern.NONE,
            cost=further_cost + (embedding_cost(known.rest) if known.rest else 0),
            is_patient=is_patient,
            deadline_s=deadline_s,
        )
        async with self.answered(
            lambda: self._complete(known, contract, path), work, "encode"
        ) as embedding:
            self._cache.keep(known, embedding)
            yield embedding

    @asynccontextmanager
    async def answered(
        self, ask: Callable[[], Awaitable[Answer | TwinshelfError]], work: Work, stage: Stage
    ) -> AsyncIterator[Answer]:
        """Asks for something, and keeps its place while the body uses the answer.

        Args:
            ask: What is done once there is a place; runs to its end, whoever leaves.
            work: How much it takes.
            stage: What it counts as in the metrics.

        Raises:
            ServerBusyError: If it would wait too long for a place.
            EncoderUnavailableError: If the encoder is away, or does not answer in time.
            TwinshelfError: If that is the answer.
        """
        self._pulse.check()
        if self._is_silent() and self._admission.must_wait(work):
            raise self._silence()
        with span("admission"), self._metrics.stage("admission"):
            place = await self._admission.enter(work)
        job = asyncio.ensure_future(ask())
        overdue_s = time.monotonic() + self._encode_timeout_s
        self._jobs.add(job)
        job.add_done_callback(self._forget)
        is_measured = False
        try:
            with self._metrics.stage(stage):
                answer = await self._wait_for(job)
            if isinstance(answer, TwinshelfError):
                raise answer
            yield answer
            is_measured = True  # a refused photo says nothing of how fast the rest is
        finally:
            if job.done():
                place.leave(time.monotonic(), is_measured=is_measured)
            else:  # what the caller has left behind keeps its place until the encoder has answered
                job.add_done_callback(lambda _: place.leave(time.monotonic(), is_measured=False))
                rest_s = overdue_s - time.monotonic()
                asyncio.get_running_loop().call_later(rest_s, self._note_late, job)

    async def close(self, timeout_s: float) -> None:
        """Waits until the encoder has answered all that was sent, or until the time is over."""
        if self._jobs:
            await asyncio.wait(self._jobs, timeout=timeout_s)

    async def _complete(
        self, known: Remembered, contract: EncoderContract, path: str
    ) -> OfferEmbedding | TwinshelfError:
        """Embeds what is not remembered of a row."""
        if known.rest is None:
            return join_halves(known.image, known.text)
        answer = await self._encode(known.rest, contract, path)
        if isinstance(answer, OfferEmbedding):
            return join_halves(
                answer.image if known.image is None else known.image,
                answer.text if known.text is None else known.text,
            )
        # Alone, the text that is left stands beside a photo.
        return answer if known.image is None else join_halves(known.image, answer)

    async def _encode(
        self, row: EncoderInput, contract: EncoderContract, path: str
    ) -> OfferEmbedding | TwinshelfError:
        self._pulse.begin(row.pattern)
        is_answered = False
        try:
            with span(f"encode {row.pattern.key}"):
                (answer,) = await self._encoder.encode([row], contract)
            is_answered = isinstance(
                answer, OfferEmbedding | InvalidRequestError | EncoderChangedError
            )
            if isinstance(answer, InvalidRequestError):
                # A text is of several fields: the message that holds them is named.
                field = f"{path}.image" if answer.field == Pattern.IMAGE.key else path
                return InvalidRequestError(
                    answer.message.removeprefix(_FIRST_ROW), field=field, facts=answer.facts
                )
            return answer
        finally:
            self._pulse.end(row.pattern, is_answered=is_answered)

    async def _wait_for(
        self, job: asyncio.Future[Answer | TwinshelfError]
    ) -> Answer | TwinshelfError:
        loss = self._pulse.loss
        first: set[asyncio.Future[Any]] = {job, loss}
        await asyncio.wait(
            first, timeout=self._encode_timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        if job.done():
            return job.result()
        self._note_late(job)
        if loss.done():
            return fresh(loss.result())
        return EncoderUnavailableError(
            f"the {self._asked} did not answer within {self._encode_timeout_s:g} s; "
            "repeat the request"
        )

    def _note_late(self, job: asyncio.Future[Any]) -> None:
        """Counts a job that nobody waits for any more, until the encoder answers it."""
        if job in self._jobs and job not in self._late:
            self._late.add(job)
            self._metrics.add_stuck_calls(1)
            self._turn_away_if_silent()
            # Something may have been answered since the job was sent, and be the last.
            asyncio.get_running_loop().call_later(self._encode_timeout_s, self._turn_away_if_silent)

    # What is late keeps its place, so behind a hang nobody would ever get one; no watch tells of a
    # pair scorer that hangs. A place that is free is tried all the same.

    def _turn_away_if_silent(self) -> None:
        if self._is_silent():
            self._admission.turn_away(self._silence)

    def _is_silent(self) -> bool:
        """Whether something is late, and nothing at all was answered since it was sent."""
        return bool(self._late) and time.monotonic() - self._answered_s >= self._encode_timeout_s

    def _silence(self) -> EncoderUnavailableError:
        return EncoderUnavailableError(
            f"the {self._asked} has answered nothing for {self._encode_timeout_s:g} s "
            f"({len(self._late)} requests are late); repeat the request later"
        )

    def _forget(self, job: asyncio.Future[Any]) -> None:
        """Takes the answer, so that an error of it does not count as never seen."""
        self._jobs.discard(job)
        self._answered_s = time.monotonic()
        if job in self._late:
            self._late.discard(job)
            self._metrics.add_stuck_calls(-1)
        if not job.cancelled():
            job.exception()
