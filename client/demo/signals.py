"""Being told to stop: signals become an exception, so that everything is cleaned up on the way."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequestedError(Exception):
    """Ctrl-C, SIGTERM or the end of the terminal came; the message is the signal's name."""


@contextlib.contextmanager
def stop_requests() -> Iterator[None]:
    """Raises `StopRequestedError` in the main thread when a stop signal comes inside the block."""
    before = {number: signal.signal(number, _raise_once) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_once(number: int, frame: FrameType | None) -> None:
    # Stopping is bounded in time: a second signal must not break it off half-way.
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise StopRequestedError(signal.Signals(number).name)
