"""A launcher with its Triton and a matching service, as processes of our own, from any checkout."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

PROJECT: Final = Path(__file__).resolve().parents[2]
START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 40.0
LISTENING: Final = re.compile(r"listening on (\S+);")
IN_FLIGHT: Final = re.compile(r"Found (\d+) model versions? that have in-flight inferences")


class DeploymentError(RuntimeError):
    """Something did not start; the message ends with the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """How Triton stopped.

    Attributes:
        seconds: From the signal to the end of the launcher.
        is_clean: Whether it ended by itself in time, with nothing in flight at the end.
        reason: Why it was not clean; empty when it was.
    """

    seconds: float
    is_clean: bool
    reason: str


class Deployment:
    """Triton and the service on fixed free ports of 127.0.0.1; a context manager."""

    def __init__(
        self,
        folder: Path,
        *,
        repository: Path,
        checkout: Path = PROJECT,
        version: int | None = None,
        service_arguments: tuple[str, ...] = (),
    ) -> None:
        """Starts nothing.

        Args:
            folder: For logs and the catalogue; emptied.
            repository: Model repository to serve.
            checkout: Root of the project whose code is run.
            version: Encoder version; None takes the newest.
            service_arguments: Further options of `python -m twinshelf.server`.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder.resolve()
        self._repository, self._checkout = repository.resolve(), checkout.resolve()
        self._version = version
        self._service_arguments = service_arguments
        grpc_port, http_port, metrics_port, service_port = _free_ports(4)
        self._ports = (grpc_port, http_port, metrics_port)
        self.triton_address = f"127.0.0.1:{grpc_port}"
        self.metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        self._ready_url = f"http://127.0.0.1:{http_port}/v2/health/ready"
        self.address = f"127.0.0.1:{service_port}"
        self.launcher: psutil.Popen | None = None
        self.service: psutil.Popen | None = None

    def __enter__(self) -> Self:
        try:
            self.start_triton()
            self.start_service()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def triton_log(self) -> str:
        """What Triton has logged."""
        return self._log("tritonserver.log")

    @property
    def launcher_log(self) -> str:
        """What the launcher has said."""
        return self._log("launcher.log")

    @property
    def service_log(self) -> str:
        """What the service has logged."""
        return self._log("service.log")

    @property
    def tritonserver(self) -> psutil.Process | None:
        """The server below the launcher, or None."""
        return next(iter(_below(self.launcher, "tritonserver")), None)

    @property
    def stubs(self) -> dict[str, psutil.Process]:
        """The processes of Triton's Python models: the first of each model."""
        found: dict[str, psutil.Process] = {}
        for stub in _below(self.launcher, "triton_python_backend_stub"):
            with contextlib.suppress(psutil.Error):
                found.setdefault(_model_of(stub.cmdline()), stub)
        return found

    def start_triton(self) -> None:
        """Starts the launcher and waits until Triton is ready.

        Raises:
            DeploymentError: If it ends or takes too long.
        """
        self.begin_triton()
        self._wait(self.launcher, lambda: _answers(self._ready_url), "launcher.log")

    def begin_triton(self) -> None:
        """Starts the launcher and waits for nothing."""
        names = ("--grpc-port", "--http-port", "--metrics-port")
        ports = [text for pair in zip(names, map(str, self._ports), strict=True) for text in pair]
        command = ["twinshelf.server.triton", "--model-repository", str(self._repository), *ports]
        command += ["--log-file", str(self.folder / "tritonserver.log")]
        command += ["--version", str(self._version)] if self._version else []
        self.launcher = self._run(command, "launcher.log")

    def start_service(self) -> None:
        """Starts the service and waits until it listens.

        Raises:
            DeploymentError: If it ends or takes too long.
        """
        before = len(LISTENING.findall(self.service_log))
        command = ["twinshelf.server", "--triton", self.triton_address, "--address", self.address]
        # The same offers are sent again and again; the encoder is to have the work of all of them.
        command += ["--embedding-cache-count", "0"]
        command += ["--metrics-address", "127.0.0.1:0"]
        command += ["--catalogue", str(self.folder / "catalogue"), *self._service_arguments]
        self.service = self._run(command, "service.log")
        self._wait(
            self.service, lambda: len(LISTENING.findall(self.service_log)) > before, "service.log"
        )

    def stop_service(self) -> None:
        """Stops the service in order; kills it when it does not stop."""
        _stop(self.service)
        self.service = None

    def stop_triton(self) -> Stop:
        """Stops the launcher in order; kills what does not stop."""
        start, said = len(self.triton_log), len(self.launcher_log)
        began_s = time.monotonic()
        family = _family(self.launcher)
        is_orderly = _stop(self.launcher)
        seconds = time.monotonic() - began_s
        self.launcher = None
        _kill(family)
        counts = IN_FLIGHT.findall(self.triton_log[start:])
        reason = ""
        if not is_orderly:
            reason = f"the launcher was killed after {seconds:.0f} s"
        elif "is killed" in self.launcher_log[said:]:
            reason = "the launcher killed Triton"
        elif counts and int(counts[-1]) > 0:
            reason = f"{counts[-1]} models had in-flight inferences at the end"
        return Stop(seconds=round(seconds, 2), is_clean=not reason, reason=reason)

    def stop(self) -> None:
        """Stops everything; safe to repeat."""
        self.stop_service()
        if self.launcher is not None:
            self.stop_triton()

    def pending_inferences(self) -> int | None:
        """Returns how many inferences wait in Triton's queues, or None if it does not say."""
        try:
            with urllib.request.urlopen(self.metrics_url, timeout=3) as answer:
                text = answer.read().decode()
        except OSError:
            return None
        values = re.findall(r"^nv_inference_pending_request_count\{.*\} (\S+)$", text, re.MULTILINE)
        return round(sum(map(float, values)))

    def _log(self, name: str) -> str:
        path = self.folder / name
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _run(self, arguments: list[str], log_name: str) -> psutil.Popen:
        with (self.folder / log_name).open("ab") as log:
            return psutil.Popen(
                [sys.executable, "-m", *arguments],
                cwd=self._checkout,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={
                    **os.environ,
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONPATH": str(self._checkout / "protos"),
                },
            )

    def _wait(
        self, process: psutil.Popen | None, is_ready: Callable[[], bool], log_name: str
    ) -> None:
        assert process is not None
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline_s:
                tail = self._log(log_name)[-3000:]
                raise DeploymentError(f"{log_name[:-4]} did not start:\n{tail}")
            time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _family(process: psutil.Popen | None) -> list[psutil.Process]:
    if process is None:
        return []
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def _below(process: psutil.Popen | None, name: str) -> Iterator[psutil.Process]:
    for each in _family(process):
        with contextlib.suppress(psutil.Error):
            if Path(each.cmdline()[0]).name == name and each.status() != psutil.STATUS_ZOMBIE:
                yield each


def _model_of(command: list[str]) -> str:
    """A stub is started with `.../MODEL/VERSION/FILE` behind the program."""
    return Path(command[1]).parts[-3]


def _stop(process: psutil.Popen | None) -> bool:
    """Asks a process to end; returns whether it did. Kills it otherwise."""
    if process is None or process.poll() is not None:
        return True
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
        return True
    except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
        process.kill()
        process.wait()
        return False


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def is_serving(address: str, patience_s: float) -> bool:
    """Returns whether the service says SERVING within this time."""
    end_s = time.monotonic() + patience_s
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < end_s:
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.RpcError:
                time.sleep(0.1)
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return True
            time.sleep(0.1)
    return False
