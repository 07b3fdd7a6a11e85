"""Starts Triton with one version of the encoders and keeps it alive until it is told to stop.

    python -m twinshelf.server.triton --model-repository model_repository --version 1

Ctrl-C or SIGTERM stops it in order. Code and tests that need a server use `TritonServer`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Final, Self

from twinshelf.server.command_line import is_ipv6, read_command_line
from twinshelf.server.triton.healing import TritonKeeper, TritonLostError
from twinshelf.server.triton.installation import TritonNotFoundError, find_triton
from twinshelf.server.triton.plan import (
    ServingPlan,
    default_plan,
    has_gpu,
    usable_core_count,
)
from twinshelf.server.triton.private_copy import PrivateFolderError
from twinshelf.server.triton.process import TritonServer, TritonStartError
from twinshelf.server.triton.repository import (
    ENCODERS,
    RepositoryError,
    newest_version,
    served_models,
)
from twinshelf.server.triton.triton_config import TritonConfig

logger = logging.getLogger(__name__)

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_REFUSALS: Final = (
    PrivateFolderError,
    RepositoryError,
    TritonLostError,
    TritonNotFoundError,
    TritonStartError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TritonOptions:
    """Starts Triton with one version of the encoders and keeps it until Ctrl-C.

    Attributes:
        model_repository: Folder of the model repository.
        version: Encoder version; default: the newest.
        models: Models to load; default: the encoders, and a pair scorer of the version.
        plan: File of `make tune`; default: a plan by rule for the cores and GPUs of this machine.
        host: Address to listen on.
        grpc_host: Address of gRPC where it is another: unix-abstract:NAME is a socket that the
            processes of this machine alone can reach; empty for the host.
        grpc_port: 0 takes a free one.
        http_port: 0 takes a free one.
        metrics_port: 0 takes a free one.
        ready_timeout_s: How long loading and warm-up may take.
        stuck_after_s: Start Triton again when a canary stays unanswered for so long and no model
            moves.
        log_file: File of Triton's log.
        trace_url: OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces, for what Triton adds to
            the traces of the service; empty for none.

    Raises:
        ValueError: If the host is one that Triton is not started by.
    """

    model_repository: Path = Path("model_repository")
    version: Annotated[int | None, "1 or more"] = None
    models: tuple[str, ...] = ()
    plan: Path | None = None
    host: str = "127.0.0.1"
    grpc_host: str = ""
    grpc_port: Annotated[int, "0 to 65535"] = 8001
    http_port: Annotated[int, "0 to 65535"] = 8000
    metrics_port: Annotated[int, "0 to 65535"] = 8002
    ready_timeout_s: Annotated[float, "0.01 to 86400"] = 120.0
    stuck_after_s: Annotated[float, "0.01 to 3600"] = 3.0
    log_file: Path = Path(".cache/triton/triton.log")
    trace_url: str = ""

    def __post_init__(self) -> None:
        """Checks the host."""
        if is_ipv6(self.host.strip("[]")):
            raise ValueError(
                f"host must be a name or an IPv4 address, such as 0.0.0.0, got {self.host!r}: "
                "Triton is started, watched and stopped by IPv4"
            )


class _StopRequestedError(BaseException):
    """SIGTERM or Ctrl-C came. No Exception, as logging and others swallow those."""


class _StopSignals:
    """Remembers the first SIGTERM or Ctrl-C, and raises `_StopRequestedError` unless noted alone.

    Further signals do nothing: a stop is bounded in time, and must not break off half-way.
    """

    def __init__(self) -> None:
        self.is_requested = False
        self._raises = True

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Lets a signal that comes in the block only be remembered.

        An error that is raised within gRPC leaves one of its locks held, for which closing the
        channel would wait for ever.
        """
        self._raises = False
        try:
            yield
        finally:
            self._raises = True

    def __enter__(self) -> Self:
        self._handlers = {
            number: signal.signal(number, self._request)
            for number in _STOP_SIGNALS
            # Under `nohup` it outlives its terminal.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
        }
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        is_first, self.is_requested = not self.is_requested, True
        if is_first and self._raises:
            raise _StopRequestedError(signal.Signals(number).name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs Triton until a signal comes; returns the exit status."""
    options = read_command_line(TritonOptions, "twinshelf.server.triton", arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    with _StopSignals() as signals:
        try:
            with contextlib.suppress(_StopRequestedError):
                _serve(options, signals)
            logger.info("Triton has stopped")
            return 0
        except (*_REFUSALS, ValueError) as error:
            logger.error("error: %s", error)
            return 1


def _serve(options: TritonOptions, signals: _StopSignals) -> None:
    started_at = time.monotonic()
    installation = find_triton()
    config = _config(options, has_gpu(installation.full_environment))
    server = TritonServer(config, installation)
    keeper = TritonKeeper(server, config.models, stuck_after_s=options.stuck_after_s)
    logger.info("Triton is loading %s; its log is %s", ", ".join(config.models), config.log_path)
    # In this order: what is outstanding is let go of when the server has stopped.
    with contextlib.closing(keeper), server:
        logger.info(
            "Triton is ready after %.1f s: gRPC %s, HTTP %s, metrics %s; Ctrl-C stops it",
            time.monotonic() - started_at,
            server.grpc_address,
            server.http_address,
            server.metrics_address,
        )
        while not signals.is_requested:
            with signals.noted():
                reason = keeper.look()
            if reason and not signals.is_requested:
                keeper.heal(reason)


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


def _config(options: TritonOptions, is_on_gpu: bool) -> TritonConfig:
    version = options.version
    if version is None:
        version = newest_version(options.model_repository, options.models or ENCODERS)
    return TritonConfig(
        model_repository=options.model_repository,
        version=version,
        models=options.models or served_models(options.model_repository, version),
        plan=ServingPlan.read(options.plan)
        if options.plan
        else default_plan(usable_core_count(), has_gpu=is_on_gpu),
        host=options.host,
        grpc_host=options.grpc_host,
        grpc_port=options.grpc_port,
        http_port=options.http_port,
        metrics_port=options.metrics_port,
        ready_timeout_s=options.ready_timeout_s,
        log_path=_usable_log(options.log_file),
        trace_url=options.trace_url,
    )


if __name__ == "__main__":
    sys.exit(main())
