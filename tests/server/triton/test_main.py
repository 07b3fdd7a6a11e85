"""Tests of the launcher as a program: what it says, how it ends, and that it leaves nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.identity_repository import MODEL, write_identity_repository, write_manifest
from twinshelf.server.triton import __main__ as launcher_module
from twinshelf.server.triton.__main__ import TritonOptions, main
from twinshelf.server.triton.child_processes import children, is_alive
from twinshelf.server.triton.installation import TritonInstallation
from twinshelf.server.triton.triton_config import listen

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
def launcher(tmp_path: Path, hang_ups: None) -> Iterator[subprocess.Popen[str]]:
    """A launcher whose Triton is ready."""
    write_identity_repository(tmp_path, version=3)
    process = subprocess.Popen(
        [sys.executable, "-m", "twinshelf.server.triton", *command(tmp_path)],
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
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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
def test_a_model_that_does_not_load_ends_the_launcher_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_identity_repository(tmp_path)
    (tmp_path / MODEL / "1" / "model.onnx").write_bytes(b"not a graph")
    write_manifest(tmp_path)

    assert main(command(tmp_path, "--version=1")) == 1

    assert "error: Triton did not start" in caplog.text
    assert f"failed to load '{MODEL}' version 1: " in caplog.text


def test_a_changed_file_is_an_error_that_names_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_identity_repository(tmp_path)
    with (tmp_path / MODEL / "1" / "model.onnx").open("ab") as file:
        file.write(b"\n")

    assert main(command(tmp_path)) == 1

    assert f"error: {MODEL}/1/model.onnx of version 1 was changed" in caplog.text


def test_a_log_that_cannot_be_written_goes_elsewhere_with_a_line_that_says_where(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    write_identity_repository(tmp_path)
    (tmp_path / "file").touch()
    with listen("127.0.0.1", 0) as holder:  # ends the launcher once it has chosen the log
        port = f"--grpc-port={holder.getsockname()[1]}"
        log = f"--log-file={tmp_path / 'file' / 'logs' / 'triton.log'}"
        assert main([*command(tmp_path), log, port]) == 1

    (other,) = tmp_path.glob("twinshelf-triton-*.log")
    assert f"cannot be written (Not a directory): it is {other} instead" in caplog.text


@pytest.mark.triton
@pytest.mark.parametrize("name", ["My Projects/mödel's", "x" * 200, "link"])
def test_any_path_of_the_repository_will_do(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    if name == "link":
        place.symlink_to(write_identity_repository(tmp_path / "models"))
    else:
        write_identity_repository(place)
    (tmp_path / "tmp dir").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "twinshelf.server.triton", *command(place)],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path / "tmp dir")},  # and no HOME
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        told = ""
        for line in process.stderr:
            told += line
            if "Triton is ready" in line:
                process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0, told


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

    assert "no published version: run `python -m twinshelf.export`" in caplog.text


@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
def test_a_host_of_ipv6_is_refused_in_words(host: str) -> None:
    with pytest.raises(ValueError, match="host must be a name or an IPv4 address, such as 0.0.0.0"):
        TritonOptions(host=host)


def test_a_taken_port_is_an_error_that_names_the_option(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_identity_repository(tmp_path)
    with listen("127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]

        assert main([*command(tmp_path), f"--grpc-port={port}"]) == 1

    assert f"127.0.0.1:{port} (Address already in use)" in caplog.text
    assert "--grpc-port" in caplog.text


def test_a_signal_never_breaks_into_what_watches_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Raised within gRPC, it would leave a lock held that closing the channel waits for."""
    done: list[str] = []

    class Keeper:
        def __init__(self, *given: object, **named: object) -> None:
            pass

        def look(self) -> str:
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("looked")
            return "stuck"

        def heal(self, reason: str) -> None:
            done.append(f"healed: {reason}")

        def close(self) -> None:
            done.append("closed")

    class Server(contextlib.nullcontext["Server"]):
        grpc_address = http_address = metrics_address = "127.0.0.1:1"

        def __init__(self, config: object, installation: object) -> None:
            super().__init__(self)

    write_identity_repository(tmp_path, version=3)
    monkeypatch.setattr(launcher_module, "TritonKeeper", Keeper)
    monkeypatch.setattr(launcher_module, "TritonServer", Server)
    installation = TritonInstallation(binary=tmp_path)
    monkeypatch.setattr(launcher_module, "find_triton", lambda: installation)
    assert main(command(tmp_path)) == 0
    assert done == ["looked", "closed"]
