"""Starts the servers that are compared, each with its logs in a folder, and stops them."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinshelf.server.triton.plan import usable_core_count

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0
HOST = "127.0.0.1"
# 64 callers wait longer than a shop would: none of them is to be turned away. Offers come again
# and again: what was embedded is not to be remembered.
SERVICE_VARIABLES = {
    "TWINSHELF_WAIT_LIMIT_S": "60",
    "TWINSHELF_ENCODE_TIMEOUT_S": "60",
    "TWINSHELF_EMBEDDING_CACHE_COUNT": "0",
}
_UP = re.compile(r"service (\S+), Triton (\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAddresses:
    """Where a deployment listens.

    Attributes:
        service: host:port of the matching service.
        triton: host:port of its Triton.
    """

    service: str
    triton: str


@contextlib.contextmanager
def serve_service(
    repository: Path,
    version: int,
    catalogue: Path,
    logs: Path,
    variables: Mapping[str, str] | None = None,
) -> Iterator[ServiceAddresses]:
    """Runs Triton and the matching service beside the block.

    Args:
        repository: Model repository.
        version: Version to serve.
        catalogue: Folder of the catalogue.
        logs: Folder of the logs.
        variables: Environment of the service, over `SERVICE_VARIABLES`.

    Raises:
        RuntimeError: If they do not serve; the message ends with the end of their log.
    """
    command = ["twinshelf.server.up", "--free-ports", "--version", str(version)]
    command += ["--model-repository", str(repository), "--catalogue", str(catalogue)]
    command += ["--logs", str(logs), "--keep-thumbnails", "0"]  # nobody it is compared with does
    log = logs / "up.log"
    with _running(command, log, SERVICE_VARIABLES | dict(variables or {})) as process:
        _wait(process, log, lambda: _UP.search(_read(log)))
        service, triton = _UP.findall(_read(log))[0]
        yield ServiceAddresses(service=service, triton=triton)


@contextlib.contextmanager
def serve_stack(
    towers: str, run: Path, repository: Path, version: int, logs: Path
) -> Iterator[str]:
    """Runs the stack of `stack.py` beside the block; yields its URL.

    Args:
        towers: "torch" or "onnx".
        run: Run that the weights are from.
        repository: Model repository of the ONNX towers.
        version: Their version.
        logs: Folder of the log.

    Raises:
        RuntimeError: If it does not serve; the message ends with the end of its log.
    """
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = ["tests.benchmarks.end_to_end.stack", "--run", str(run), "--towers", towers]
    command += ["--repository", str(repository), "--version", str(version), "--port", str(port)]
    # As a user would start it, on all cores: what we tell the C libraries of tests is not for it.
    threads = str(usable_core_count())
    command += ["--threads", threads]
    log = logs / f"{towers}.log"
    with _running(command, log, {"OMP_NUM_THREADS": threads}) as process:
        _wait(process, log, lambda: _listens(port))
        yield f"http://{HOST}:{port}"


@contextlib.contextmanager
def _running(
    command: Sequence[str], log: Path, variables: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], log: Path, is_ready: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise RuntimeError(f"nothing serves; {log} ends:\n{_read(log)[-2000:]}")
        time.sleep(0.1)


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False
