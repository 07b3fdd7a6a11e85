"""Keeps a Triton of ours alive: watches it, and starts it anew when it is of no more use."""

from __future__ import annotations

import logging
import signal
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from twinshelf.server.triton.canary import CanaryCage, canaries_of
from twinshelf.server.triton.process import TritonServer, TritonStartError

logger = logging.getLogger(__name__)

_LOOK_UP_S: Final = 0.25
_WINDOW_S: Final = 600.0
# Seconds to wait before each restart within the window; when they are used up, it is given up.
_PAUSES_S: Final = (0.0, 1.0, 2.0, 4.0, 8.0)


class TritonLostError(RuntimeError):
    """Triton does not stay alive; the message has the last reason."""


class RestartBudget:
    """How often, and how soon, a server may be started again."""

    def __init__(self, pauses_s: Sequence[float] = _PAUSES_S, window_s: float = _WINDOW_S) -> None:
        """Takes the pause before each restart of a window of time, in seconds."""
        self._pauses_s = pauses_s
        self._window_s = window_s
        self._restarts: deque[float] = deque()

    def take(self, now: float) -> float | None:
        """Takes one restart; returns the pause before it in seconds, None when there is none left.

        Args:
            now: Seconds of a steady clock.
        """
        while self._restarts and now - self._restarts[0] >= self._window_s:
            self._restarts.popleft()
        if len(self._restarts) == len(self._pauses_s):
            return None
        self._restarts.append(now)
        return self._pauses_s[len(self._restarts) - 1]

    def __str__(self) -> str:
        return f"{len(self._pauses_s)} restarts in {self._window_s / 60:g} minutes"


class TritonKeeper:
    """Watches a running server and heals it."""

    def __init__(
        self,
        server: TritonServer,
        models: Sequence[str],
        *,
        stuck_after_s: float,
        budget: RestartBudget | None = None,
    ) -> None:
        """Starts nothing.

        Args:
            server: The server.
            models: The models that it was asked to serve.
            stuck_after_s: How long a canary may stay unanswered while no model moves.
            budget: How often the server may be started again.

        Raises:
            ValueError: If the time is not above 0.
        """
        if not stuck_after_s > 0:
            raise ValueError(f"stuck_after_s must be above 0, got {stuck_after_s}")
        self._server = server
        self._models = models
        self._stuck_after_s = stuck_after_s
        self._budget = budget or RestartBudget()
        self._canaries: CanaryCage | None = None
        self._dead_before = 0

    def look(self) -> str | None:
        """Watches a started server for a moment; returns why it is of no more use, or None."""
        status = self._server.wait(_LOOK_UP_S)
        pid = self._server.pid
        if status is not None or pid is None:
            return f"it ended by itself ({_ending(status)})"
        dead = self._server.dead_model_count
        # Seen twice, it is none that Triton is about to clear away by itself.
        if dead and self._dead_before:
            return f"{dead} of its Python models died, and it starts none again"
        self._dead_before = dead
        if self._canaries is None:
            self._canaries = CanaryCage(
                pid=pid,
                grpc_address=self._server.grpc_address,
                metrics_address=self._server.metrics_address,
                canaries=canaries_of(self._models, self._server.read_config),
            )
        return self._canaries.reason_if_stuck(self._stuck_after_s)

    def heal(self, reason: str) -> None:
        """Kills the server and starts it again, on the same ports and with the same models.

        Raises:
            TritonLostError: If it was started too often already.
        """
        lost_at = time.monotonic()
        while True:
            # Not asked to stop: one that is stuck would not, and callers wait for each second.
            self._server.kill()
            self.close()
            pause_s = self._budget.take(time.monotonic())
            if pause_s is None:
                raise TritonLostError(f"Triton is given up after {self._budget}: {reason}")
            logger.error("Triton is started again in %g s: %s", pause_s, reason)
            time.sleep(pause_s)
            try:
                self._server.start()
                break
            except TritonStartError as error:
                reason = str(error)
        logger.info("Triton is ready again after %.1f s", time.monotonic() - lost_at)

    def close(self) -> None:
        """Lets go of the canaries; the server must have ended. A repeat is safe."""
        if self._canaries is not None:
            self._canaries.close()
        self._canaries = None
        self._dead_before = 0


def _ending(status: int | None) -> str:
    if status is None:
        return "it was killed"
    if status < 0:
        return f"signal {signal.Signals(-status).name}"
    return f"exit status {status}"
