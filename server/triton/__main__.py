"""Starts Triton with one version of the encoders and keeps it alive until it is told to stop.

    python -m server.triton --model-repository model_repository --version 1 --grpc-port 8001

Ctrl-C or SIGTERM stops it in order. Code and tests that need a server use `TritonServer`.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final, Self

from server.triton.healing import TritonKeeper, TritonLostError
from server.triton.installation import TritonNotFoundError
from server.triton.private_copy import PrivateFolderError
from server.triton.process import TritonServer, TritonStartError
from server.triton.repository import ENCODERS, RepositoryError, newest_version
from server.triton.settings import TritonSettings

logger = logging.getLogger(__name__)

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_REFUSALS: Final = (
    PrivateFolderError,
    RepositoryError,
    TritonLostError,
    TritonNotFoundError,
    TritonStartError,
)


class _StopRequestedError(BaseException):
    """SIGTERM or Ctrl-C came. No Exception, as logging and others swallow those."""


class _StopSignals:
    """Raises `_StopRequestedError` at the first SIGTERM or Ctrl-C, and remembers it.

    Further signals do nothing: a stop is bounded in time, and must not break off half-way.
    """

    def __init__(self) -> None:
        self.is_requested = False

    def __enter__(self) -> Self:
        self._handlers = {n: signal.signal(n, self._request) for n in _STOP_SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if not self.is_requested:
            self.is_requested = True
            raise _StopRequestedError(signal.Signals(number).name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs Triton until a signal comes; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    options = _parser().parse_args(arguments)
    with _StopSignals() as signals:
        try:
            return _serve(options, signals)
        except _StopRequestedError:
            logger.info("Triton has stopped")
            return 0
        except (*_REFUSALS, ValueError) as error:
            logger.error("error: %s", error)
            return 1


def _serve(options: argparse.Namespace, signals: _StopSignals) -> int:
    started_at = time.monotonic()
    settings = _settings(options)
    server = TritonServer(settings)
    keeper = TritonKeeper(server, settings.models, stuck_after_s=options.stuck_after_s)
    logger.info(
        "Triton is loading %s; its log is %s", ", ".join(settings.models), settings.log_path
    )
    # In this order: what is outstanding is let go of when the server has stopped.
    with contextlib.closing(keeper), server:
        logger.info(
            "Triton is ready after %.1f s: gRPC %s, HTTP %s, metrics %s; Ctrl-C stops it",
            time.monotonic() - started_at,
            server.grpc_address,
            server.http_address,
            server.metrics_address,
        )
        # Python drops what a handler raises inside a finaliser: hence the look at `is_requested`.
        while not signals.is_requested:
            if reason := keeper.look():
                keeper.heal(reason)
    return 0


def _usable_log(path: Path) -> Path:
    """Returns the file for the log, or one in the temporary folder when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
        return path
    except OSError as error:
        descriptor, other = tempfile.mkstemp(prefix="twinshelf-triton-", suffix=".log")
        os.close(descriptor)
        logger.warning(
            "the log %s cannot be written (%s): it is %s instead", path, error.strerror, other
        )
        return Path(other)


def _settings(options: argparse.Namespace) -> TritonSettings:
    models = tuple(options.models)
    version = options.version
    if version is None:
        version = newest_version(options.model_repository, models)
    return TritonSettings(
        model_repository=options.model_repository,
        version=version,
        models=models,
        host=options.host,
        grpc_port=options.grpc_port,
        http_port=options.http_port,
        metrics_port=options.metrics_port,
        ready_timeout_s=options.ready_timeout_s,
        log_path=_usable_log(options.log_file),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m server.triton",
        description="Starts Triton with one version of the encoders and keeps it until Ctrl-C.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--version", type=int, help="encoder version; the latest when left out")
    parser.add_argument("--models", nargs="+", default=list(ENCODERS), help="models to load")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--grpc-port", type=int, default=8001, help="0 takes a free one")
    parser.add_argument("--http-port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--metrics-port", type=int, default=8002, help="0 takes a free one")
    parser.add_argument("--ready-timeout-s", type=float, default=120.0)
    parser.add_argument(
        "--stuck-after-s",
        type=float,
        default=3.0,
        help="start Triton again when a canary stays unanswered for so long and no model moves",
    )
    parser.add_argument("--log-file", type=Path, default=Path(".cache/triton/triton.log"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
