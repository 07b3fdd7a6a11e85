"""The services of the demonstration: Triton and the matching service, started and stopped."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rich.console import Console

from client.demo.steps import (
    LOOK_INTERVAL_S,
    DemoError,
    command_error,
    log_path,
    start_process,
    stop_process,
    tail,
    timed,
)
from client.errors import DeadlineError, ServiceUnavailableError, TwinshelfError
from client.retries import RetryPolicy
from client.sync_client import TwinshelfClient

READY_TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A command that runs until it is stopped.

    Attributes:
        name: A noun or verb, also the name of its log.
        arguments: What follows `python -m`.
        is_ready: Asks, in bounded time, whether it serves.
    """

    name: str
    arguments: Sequence[str]
    is_ready: Callable[[], bool]


class RunningServices:
    """Services that stop, last started first, when the block ends."""

    def __init__(self, folder: Path, console: Console) -> None:
        """Starts nothing.

        Args:
            folder: Of the run; logs lie below it.
            console: Shows the progress.
        """
        self._folder = folder
        self._console = console
        self._processes: list[tuple[Service, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> RunningServices:
        """Returns itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops what was started."""
        self.stop()

    def start(self, service: Service) -> None:
        """Starts a service and waits until it serves.

        Args:
            service: What to start.

        Raises:
            DemoError: If it ends, or does not serve in time.
        """
        started_s = time.monotonic()
        log = log_path(self._folder, service.name)
        process = start_process(service.arguments, log)
        self._processes.append((service, process))
        with timed(service.name, self._console):
            while not service.is_ready():
                if process.poll() is not None:
                    raise command_error(service.name, service.arguments, process.returncode, log)
                if time.monotonic() - started_s > READY_TIMEOUT_S:
                    raise DemoError(
                        f"{service.name} did not serve within {READY_TIMEOUT_S:.0f} s; "
                        f"its log {log} ends:\n{tail(log)}"
                    )
                time.sleep(LOOK_INTERVAL_S)

    def stop(self) -> None:
        """Stops every service; a repeat does nothing."""
        while self._processes:
            stop_process(self._processes.pop()[1])


def triton_service(repository: Path, version: str, folder: Path) -> tuple[Service, str]:
    """Describes Triton on free ports; returns it and its gRPC address.

    Args:
        repository: The model repository.
        version: Which version to serve; empty takes the latest.
        folder: Of the run; Triton's own log lies below it.
    """
    grpc_port, http_port, metrics_port = free_ports(3)
    arguments = ["server.triton", "--model-repository", str(repository)]
    arguments += ["--version", version] if version else []
    arguments += ["--grpc-port", str(grpc_port), "--http-port", str(http_port)]
    arguments += ["--metrics-port", str(metrics_port)]
    arguments += ["--log-file", str(log_path(folder, "tritonserver"))]
    url = f"http://127.0.0.1:{http_port}/v2/health/ready"
    service = Service(name="triton", arguments=arguments, is_ready=lambda: answers_http(url))
    return service, f"127.0.0.1:{grpc_port}"


def matching_service(triton_address: str, catalogue: Path) -> tuple[Service, str]:
    """Describes the matching service on a free port; returns it and its address.

    Args:
        triton_address: Of Triton's gRPC service.
        catalogue: Folder that keeps the catalogue.
    """
    address = f"127.0.0.1:{free_ports(1)[0]}"
    arguments = ["server", "--address", address, "--triton", triton_address]
    # Nobody reads them here, and another service on this machine may have their port.
    arguments += ["--metrics-address", ""]
    arguments += ["--catalogue", str(catalogue)]
    return Service(name="serve", arguments=arguments, is_ready=lambda: _serves(address)), address


def free_ports(count: int) -> list[int]:
    """Returns ports of the loopback address that nothing listens on just now.

    Args:
        count: How many; they differ.
    """
    holders = [socket.socket() for _ in range(count)]
    try:
        for holder in holders:
            holder.bind(("127.0.0.1", 0))
        return [int(holder.getsockname()[1]) for holder in holders]
    finally:
        for holder in holders:
            holder.close()


def answers_http(url: str) -> bool:
    """Tells whether a URL answers 200 within a second; a proxy is not asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=1) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _serves(address: str) -> bool:
    once = RetryPolicy(attempt_count=1)
    try:
        with TwinshelfClient(address, timeout_s=2, retry_policy=once) as client:
            client.stats()
            return True
    except (DeadlineError, ServiceUnavailableError):
        return False
    except TwinshelfError as error:
        raise DemoError(f"the matching service answers, but not well: {error.message}") from error
