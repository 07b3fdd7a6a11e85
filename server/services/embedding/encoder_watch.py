"""Keeps an eye on encoder and catalogue: tells health when one of them can no longer serve."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import Encoder, EncoderInput
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import (
    EncoderChangedError,
    EncoderUnavailableError,
    TwinshelfError,
)
from twinshelf.server.services.embedding.encoder_pulse import MODALITIES, EncoderPulse
from twinshelf.server.services.health import HealthServicer
from twinshelf.server.telemetry.metrics import Metrics
from twinshelf.server.triton.canary import CANARY_PHOTO, CANARY_TEXT

logger = logging.getLogger(__name__)
_CANARIES: Final = {
    Pattern.IMAGE: EncoderInput(image=CANARY_PHOTO, text=None),
    Pattern.TEXT: EncoderInput(image=None, text=CANARY_TEXT),
}
_LOOK_INTERVAL_S: Final = 0.1
# One of several processes of a model may have died: after a failure, one good answer proves little.
_GOOD_CANARIES: Final = 5


class EncoderWatch:
    """Looks at the encoder again and again while the server runs."""

    def __init__(
        self,
        *,
        encoder: Encoder,
        catalogue: Catalogue,
        health: HealthServicer,
        pulse: EncoderPulse,
        metrics: Metrics,
        interval_s: float,
        canary_interval_s: float,
    ) -> None:
        """Takes the parts that it works with.

        Args:
            encoder: The encoder.
            catalogue: Is told when another encoder serves; says whether it can be trusted.
            health: Is told whether the service can be used.
            pulse: Knows what is under way at the encoder.
            metrics: Get what is seen.
            interval_s: Time between two readings of the contract.
            canary_interval_s: Silence of a modality after which a canary is sent.
        """
        self._encoder = encoder
        self._catalogue = catalogue
        self._health = health
        self._pulse = pulse
        self._metrics = metrics
        self._interval_s = interval_s
        self._canary_interval_s = canary_interval_s
        self._reading: asyncio.Task[None] | None = None
        self._canaries: dict[Pattern, asyncio.Task[None]] = {}
        self._next_reading_s = 0.0
        self._contract: EncoderContract | None = None
        self._error: TwinshelfError | None = None
        self._canary_errors: dict[Pattern, TwinshelfError] = {}
        self._needed_canaries = dict.fromkeys(MODALITIES, 0)
        self._last_report = ""

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            try:
                self._look()
            except Exception:  # the watch must outlive whatever goes wrong
                logger.exception("not serving: the encoder could not be looked at")
                self._health.set_serving(False)
            await self._sleep(min(_LOOK_INTERVAL_S, self._interval_s))

    async def close(self, timeout_s: float) -> None:
        """Waits until the canaries are answered, or until the time is over."""
        if canaries := [each for each in self._canaries.values() if not each.done()]:
            await asyncio.wait(canaries, timeout=timeout_s)

    async def _sleep(self, interval_s: float) -> None:
        """Waits until the next look; the time by which that comes late counts as nobody's."""
        start_s = time.monotonic()
        await asyncio.sleep(interval_s)
        self._pulse.excuse(time.monotonic() - start_s - interval_s)

    def _look(self) -> None:
        now = time.monotonic()
        if now >= self._next_reading_s and (self._reading is None or self._reading.done()):
            self._next_reading_s = now + self._interval_s
            self._reading = asyncio.ensure_future(self._read())
        if self._contract is not None and self._error is None:
            self._send_canaries()
        self._tell(
            self._error
            or self._pulse.find_hang()
            or self._canary_error()
            or self._catalogue.problem
        )

    def _tell(self, error: TwinshelfError | None) -> None:
        """Tells health, those who wait, and the log how things stand."""
        is_serving = error is None and self._contract is not None
        if error is not None:
            self._report(logging.WARNING, f"not serving: {error.message}")
            self._pulse.lose(error)
        elif self._contract is not None:
            version, digest = self._contract.version, self._contract.digest
            self._report(logging.INFO, f"serving encoder version {version}, {digest}")
            self._pulse.recover()
        self._health.set_serving(is_serving)
        self._metrics.set_encoder_up(is_serving)

    async def _read(self) -> None:
        """Reads the contract, and lets the catalogue search with its encoder."""
        try:
            await self._encoder.refresh()
            # Before the contract is asked for: a switch in between must not be taken back.
            before = self._catalogue.encoders.current
            contract = self._encoder.contract
            await self._catalogue.use_encoder(contract, instead_of=before)
            if (statistics := await self._encoder.statistics()) is not None:
                self._metrics.record_triton_statistics(statistics)
        except TwinshelfError as error:
            self._error = error
        except Exception:  # whatever else: nothing may be served by an encoder that is not known
            logger.exception("not serving: the contract of the encoder could not be read")
            self._error = EncoderUnavailableError("the contract of the encoder could not be read")
        else:
            if contract != self._contract:
                self._metrics.set_encoder(version=contract.version, digest=contract.digest)
            self._contract, self._error = contract, None

    def _send_canaries(self) -> None:
        for modality in self._pulse.take_suspects():
            self._needed_canaries[modality] = _GOOD_CANARIES
        for modality in MODALITIES:
            sent = self._canaries.get(modality)
            is_quiet = self._pulse.silence_s(modality) >= self._canary_interval_s
            is_wanted = is_quiet or self._needed_canaries[modality] > 0
            if is_wanted and (sent is None or sent.done()):
                self._canaries[modality] = asyncio.ensure_future(self._send_canary(modality))

    async def _send_canary(self, modality: Pattern) -> None:
        """Embeds a canary. Never cancelled, however long it takes: that would crash Triton."""
        assert self._contract is not None
        self._pulse.begin(modality)
        start_s = time.monotonic()
        answer: OfferEmbedding | TwinshelfError = EncoderUnavailableError(
            "it raised an error of its own"
        )
        try:
            (answer,) = await self._encoder.encode([_CANARIES[modality]], self._contract)
        except Exception:  # a canary that is lost without a word would be taken for one that lives
            logger.exception("the canary %s failed", modality.key)
        finally:
            is_answered = isinstance(answer, OfferEmbedding | EncoderChangedError)
            self._pulse.end(modality, is_answered=is_answered)
        if isinstance(answer, EncoderChangedError):
            return  # the next canary asks the encoder that serves now
        if isinstance(answer, TwinshelfError):
            self._canary_errors[modality] = EncoderUnavailableError(
                f"the encoder fails on a small {modality.key}: {answer.message}"
            )
            return
        self._metrics.set_canary(modality.key, time.monotonic() - start_s)
        self._needed_canaries[modality] = max(0, self._needed_canaries[modality] - 1)
        if self._needed_canaries[modality] == 0:
            self._canary_errors.pop(modality, None)

    def _canary_error(self) -> TwinshelfError | None:
        return next(iter(self._canary_errors.values()), None)

    def _report(self, level: int, report: str) -> None:
        """Logs what has changed, and nothing while all stays as it was."""
        kind = report.partition(" for ")[0]  # the seconds of a hang change with every look
        if kind != self._last_report:
            logger.log(level, "%s", report)
            self._last_report = kind
