"""Tests of the launcher as a program: what it says, how it ends, and that it leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.triton.__main__ import main
from server.triton.child_processes import children, is_alive
from server.triton.settings import listen
from tests.server.identity_repository import MODEL, write_identity_repository

PROJECT = Path(__file__).resolve().parents[3]
DEADLINE_S = 60


def command(repository: Path, *more: str) -> list[str]:
    log_path = repository / "triton.log"
    ports = [f"--{name}-port=0" for name in ("grpc", "http", "metrics")]
    return [
        *(f"--model-repository={repository}", "--models", MODEL),
        *(f"--log-file={log_path}", *ports, *more),
    ]


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A launcher whose Triton is ready."""
    write_identity_repository(tmp_path, version=3)
    process = subprocess.Popen(
        [sys.executable, "-m", "server.triton", *command(tmp_path)],
        cwd=PROJECT,
        # A killed launcher leaves its temporary folder behind: pytest's, then.
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "Triton is ready" in line:
            break
    yield process
    process.kill()
    process.wait()
    process.stderr.close()


def descendants(pid: int) -> set[int]:
    below = children(pid)
    return below.union(*(descendants(child) for child in below))


def wait_until_gone(pids: set[int]) -> set[int]:
    """Waits until none of the processes runs; returns those that still do at the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while (alive := {pid for pid in pids if is_alive(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


@pytest.mark.triton
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_in_order(
    launcher: subprocess.Popen[str], number: signal.Signals
) -> None:
    below = descendants(launcher.pid)
    assert len(below) >= 2  # the server and a Python stub

    launcher.send_signal(number)

    assert launcher.wait(DEADLINE_S) == 0
    assert not {pid for pid in below if is_alive(pid)}
    assert not list(Path("/dev/shm").glob(f"twinshelf_{launcher.pid}_*"))


@pytest.mark.triton
def test_a_killed_launcher_leaves_no_orphans(launcher: subprocess.Popen[str]) -> None:
    below = descendants(launcher.pid)
    assert len(below) >= 2

    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait(DEADLINE_S)

    assert not wait_until_gone(below)


@pytest.mark.triton
@pytest.mark.parametrize(
    ("victim", "message"),
    [("server", "Triton ended by itself"), ("model", "1 of Triton's Python models died")],
)
def test_a_server_of_no_more_use_ends_the_launcher_with_an_error(
    launcher: subprocess.Popen[str], victim: str, message: str
) -> None:
    below = descendants(launcher.pid)
    (server,) = children(launcher.pid)
    (model,) = children(server)

    os.kill(server if victim == "server" else model, signal.SIGKILL)

    assert launcher.wait(DEADLINE_S) == 1
    assert launcher.stderr is not None
    assert message in launcher.stderr.read()
    assert not wait_until_gone(below)


@pytest.mark.triton
def test_a_model_that_does_not_load_ends_the_launcher_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_identity_repository(tmp_path)
    (tmp_path / MODEL / "1" / "model.onnx").write_bytes(b"not a graph")

    assert main(command(tmp_path, "--version=1")) == 1

    assert "error: Triton did not start" in caplog.text
    assert f"load failed for model '{MODEL}'" in caplog.text


def test_an_unknown_version_is_an_error_that_lists_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_identity_repository(tmp_path, version=3)

    assert main(command(tmp_path, "--version=4")) == 1

    assert f"has no version 4 of {MODEL}; published versions: 3" in caplog.text


def test_a_repository_without_versions_says_how_to_publish_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / MODEL).mkdir()

    assert main(command(tmp_path)) == 1

    assert "no published version: run `python -m export`" in caplog.text


def test_a_taken_port_is_an_error_that_names_the_option(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_identity_repository(tmp_path)
    with listen("127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]

        assert main([*command(tmp_path), f"--grpc-port={port}"]) == 1

    assert f"127.0.0.1:{port} (Address already in use)" in caplog.text
    assert "--grpc-port" in caplog.text
