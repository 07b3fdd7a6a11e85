"""A matching server that is a process, stopped by SIGTERM and replaced at its address."""

from __future__ import annotations

import faulthandler
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from twinshelf.server.triton.command import tied_to_this_process

# For all that is waited for, on a busy machine; then all threads are shown.
WAIT_LIMIT_S: Final = 40.0
_ROOT: Final = Path(__file__).parents[2]
# A server whose threads can be shown while it hangs.
_SERVER: Final = (
    "import faulthandler, runpy, signal; faulthandler.register(signal.SIGUSR1); "
    "runpy.run_module('server', run_name='__main__')"
)


class ReplacedServer:
    """A matching server, a process that keeps its address when it is replaced."""

    def __init__(self, address: str, place: str, log: Path) -> None:
        self.address, self._place, self._log = address, place, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *tritons: str) -> None:
        """Starts one that asks these encoders, and waits until it is ready."""
        options = ["--address", self.address, "--catalogue", self._place, "--metrics-address", ""]
        options += ["--triton", tritons[0], "--shadow-share", "0"]
        options += ["--audit-log", str(self._log.with_suffix(".audit"))]
        options += ["--other-triton", tritons[1]] if tritons[1:] else []
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                tied_to_this_process([sys.executable, "-c", _SERVER, *options]),
                cwd=_ROOT,
                stdout=log,
                stderr=log,
            )
        wait_until(self.is_ready, f"{self.address} is not ready", self)

    def is_ready(self) -> bool:
        """Asks as a readiness probe does."""
        with grpc.insecure_channel(self.address) as channel, suppress(grpc.RpcError):
            request = health_pb2.HealthCheckRequest()
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=1)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        return False

    def stop(self) -> None:
        """Ends it by SIGTERM, and waits until it has ended in good order."""
        assert self._process is not None
        self._process.terminate()
        wait_until(lambda: self.status is not None, f"{self.address} does not end", self)
        assert self.status == 0, self.report()

    def kill(self) -> None:
        """Ends it at once. A repeat is safe."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return None if self._process is None else self._process.poll()

    def report(self) -> str:
        """Returns the end of its log, with the stacks of its threads while it runs."""
        if self._process is not None and self.status is None:
            self._process.send_signal(signal.SIGUSR1)
            time.sleep(1)
        return f"{self.address}:\n{self._log.read_text('utf-8', 'replace')[-8000:]}"


def wait_until(condition: Callable[[], bool], failure: str, *servers: ReplacedServer) -> None:
    """Waits until something is so; else fails with the stacks of all threads."""
    deadline_s = time.monotonic() + WAIT_LIMIT_S
    while not condition():
        if time.monotonic() > deadline_s:
            faulthandler.dump_traceback()
            pytest.fail("\n".join([failure, *(server.report() for server in servers)]))
        time.sleep(0.05)
