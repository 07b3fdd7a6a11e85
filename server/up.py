"""Starts Triton and the matching service together, and stops them together.

    python -m twinshelf.server.up
    python -m twinshelf.server.up --free-ports -- twinshelf index products.csv

With a command it runs that once both serve, tells it their addresses in TWINSHELF_ADDRESS and
TWINSHELF_TRITON, and ends with its status; without one it serves until Ctrl-C or SIGTERM.
Variables TWINSHELF_* configure the service as they do for `python -m twinshelf.server`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

from twinshelf.server.command_line import positional, read_command_line
from twinshelf.server.triton.triton_config import free_ports, listen

HOST: Final = "127.0.0.1"
# Triton's gRPC, HTTP and metrics; the service and its metrics.
USUAL_PORTS: Final = (8001, 8000, 8002, 50051, 50052)
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_INTERVAL_S: Final = 0.1
STOP_TIMEOUT_S: Final = 30.0
TAIL_LINES: Final = 25
FAILED: Final = 1


class UpError(Exception):
    """Triton or the service does not serve; the message ends with the ends of their logs."""


class StopRequestedError(Exception):
    """Ctrl-C, SIGTERM or the end of the terminal came; the message is the signal's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """Starts Triton and the matching service, and stops them together.

    Attributes:
        model_repository: What to serve.
        version: Encoder version; default: the newest.
        plan: File of `make tune`; default: a plan by rule.
        catalogue: Its folder.
        keep_thumbnails: Longer side of the photos kept for the page, pixels; 0 keeps none.
        free_ports: Listen on free ports, not on the usual ones.
        logs: Folder of the logs.
        ready_timeout_s: Time until both must serve.
        command: After --: what to run while both serve.
    """

    model_repository: Path = Path("model_repository")
    version: Annotated[int | None, "1 or more"] = None
    plan: Path | None = None
    catalogue: Path = Path(".cache/catalogue")
    keep_thumbnails: Annotated[int, "0 to 1024"] = 256
    free_ports: bool = False
    logs: Path = Path(".cache/up")
    ready_timeout_s: Annotated[float, "0.01 to 86400"] = 180.0
    command: tuple[str, ...] = positional(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is started, and where it listens.

    Attributes:
        address: host:port of the matching service.
        metrics_address: host:port of its metrics and of /healthz.
        triton_address: host:port of Triton's gRPC.
        commands: Arguments of `python -m` by name, in the order of starting.
    """

    address: str
    metrics_address: str
    triton_address: str
    commands: Mapping[str, Sequence[str]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves as the command line says; returns the command's status, or 0 when a signal came."""
    options = read_command_line(UpOptions, "twinshelf.server.up", arguments)
    started_s = time.monotonic()
    with contextlib.suppress(StopRequestedError), _stop_requests():
        try:
            with contextlib.ExitStack() as stack:
                if not options.free_ports:
                    _require_usual_ports()
                deployment = plan_deployment(options)
                running = {
                    name: stack.enter_context(_running(command, options.logs / f"{name}.log"))
                    for name, command in deployment.commands.items()
                }
                _wait_until_serving(deployment, running, options)
                mark = "\033[32m✓\033[0m" if sys.stdout.isatty() else "✓"
                sys.stdout.write(
                    f"{mark} up        {time.monotonic() - started_s:.1f} s: service "
                    f"{deployment.address}, Triton {deployment.triton_address}\n"
                )
                sys.stdout.flush()
                return _run_beside(options.command, deployment, running, options.logs)
        except (UpError, OSError) as error:
            sys.stderr.write(f"error: {error}\n")
            return FAILED
    return 0


def plan_deployment(options: UpOptions) -> Deployment:
    """Chooses the ports and writes the two commands."""
    stated = (0,) * len(USUAL_PORTS) if options.free_ports else USUAL_PORTS
    grpc, http, metrics, service, service_metrics = free_ports(HOST, stated)
    triton_address, address = f"{HOST}:{grpc}", f"{HOST}:{service}"
    metrics_address = f"{HOST}:{service_metrics}"
    triton = ["twinshelf.server.triton", "--model-repository", str(options.model_repository)]
    triton += ["--version", str(options.version)] if options.version else []
    triton += ["--plan", str(options.plan)] if options.plan else []
    triton += ["--grpc-port", str(grpc), "--http-port", str(http), "--metrics-port", str(metrics)]
    triton += ["--log-file", str(options.logs / "tritonserver.log")]
    serve = ["twinshelf.server", "--address", address, "--triton", triton_address]
    serve += ["--metrics-address", metrics_address, "--catalogue", str(options.catalogue)]
    if not os.environ.get("TWINSHELF_KEEP_THUMBNAILS"):
        serve += ["--keep-thumbnails", str(options.keep_thumbnails)]
    return Deployment(
        address=address,
        metrics_address=metrics_address,
        triton_address=triton_address,
        commands={"triton": triton, "serve": serve},
    )


def _require_usual_ports() -> None:
    for port in USUAL_PORTS:
        try:
            listen(HOST, port).close()
        except OSError:
            raise UpError(
                f"port {port} is taken: stop what listens there, or let --free-ports choose others "
                "(`make up ARGS=--free-ports`)"
            ) from None


@contextlib.contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `python -m ...` beside the block, its output in a log; has stopped after it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        # A session of its own, so that Ctrl-C reaches us alone: we stop all in order.
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_serving(
    deployment: Deployment,
    running: Mapping[str, subprocess.Popen[bytes]],
    options: UpOptions,
) -> None:
    """Waits for /healthz, which asks for no TLS and no keys, to say that the service serves.

    Raises:
        UpError: If one of them ends, or it takes too long.
    """
    # A proxy is not asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline_s = time.monotonic() + options.ready_timeout_s
    while True:
        with (
            contextlib.suppress(OSError),
            opener.open(f"http://{deployment.metrics_address}/healthz", timeout=2) as response,
        ):
            if response.status == 200:
                return
        _check_alive(running, options.logs)
        if time.monotonic() > deadline_s:
            raise UpError(
                f"nothing serves after {options.ready_timeout_s:g} s"
                + "".join(_log_end(options.logs, name) for name in running)
            )
        time.sleep(LOOK_INTERVAL_S)


def _run_beside(
    command: Sequence[str],
    deployment: Deployment,
    running: Mapping[str, subprocess.Popen[bytes]],
    logs: Path,
) -> int:
    """Runs the command to its end, or serves until a signal comes.

    Raises:
        StopRequestedError: If a signal came.
        UpError: If one of the servers ends.
    """
    process = None
    if command:
        environment = {
            **os.environ,
            "TWINSHELF_ADDRESS": deployment.address,
            "TWINSHELF_TRITON": deployment.triton_address,
        }
        process = subprocess.Popen(command, env=environment)
    try:
        while process is None or process.poll() is None:
            _check_alive(running, logs)
            time.sleep(LOOK_INTERVAL_S)
    finally:
        if process is not None:
            _stop(process)
    # As shells say it: 128 and the signal.
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _check_alive(running: Mapping[str, subprocess.Popen[bytes]], logs: Path) -> None:
    for name, process in running.items():
        if process.poll() is not None:
            raise UpError(f"{name} ended with status {process.returncode}{_log_end(logs, name)}")


def _log_end(logs: Path, name: str) -> str:
    log = logs / f"{name}.log"
    lines = log.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:]
    return f"\nIts log {log} ends:\n" + "\n".join(f"  {line}" for line in lines)


@contextlib.contextmanager
def _stop_requests() -> Iterator[None]:
    """Raises `StopRequestedError` in the main thread when a stop signal comes in the block."""
    before = {
        number: signal.signal(number, _raise_once)
        for number in STOP_SIGNALS
        # Under `nohup` it outlives its terminal.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    }
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


if __name__ == "__main__":
    sys.exit(main())
