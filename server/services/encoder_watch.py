"""Keeps an eye on the encoder: tells health and catalogue when it goes, comes back or changes."""

from __future__ import annotations

import asyncio
import logging

from server.catalogue.catalogue import Catalogue
from server.encoders.encoder import Encoder
from server.errors import TwinshelfError
from server.services.health import HealthServicer

logger = logging.getLogger(__name__)


class EncoderWatch:
    """Looks at the encoder again and again while the server runs."""

    def __init__(
        self,
        *,
        encoder: Encoder,
        catalogue: Catalogue,
        health: HealthServicer,
        interval_s: float,
    ) -> None:
        """Takes the parts that it works with."""
        self._encoder = encoder
        self._catalogue = catalogue
        self._health = health
        self._interval_s = interval_s
        self._last_report = ""

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(self._interval_s)

    async def _look(self) -> None:
        try:
            contract = await self._encoder.refresh()
            await self._catalogue.use_encoder(contract)
        except TwinshelfError as error:
            self._report(logging.WARNING, f"not serving: {error.message}")
            self._health.set_serving(False)
        except Exception:  # the watch must outlive whatever goes wrong
            logger.exception("not serving: the encoder could not be looked at")
            self._health.set_serving(False)
        else:
            self._report(
                logging.INFO, f"serving encoder version {contract.version}, {contract.digest}"
            )
            self._health.set_serving(True)

    def _report(self, level: int, report: str) -> None:
        """Logs what has changed, and nothing while all stays as it was."""
        if report != self._last_report:
            logger.log(level, "%s", report)
            self._last_report = report
