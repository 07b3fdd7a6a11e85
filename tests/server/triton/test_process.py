"""Tests of starting, crashing and stopping the real Triton."""

from __future__ import annotations

import ctypes
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient import grpc as triton

from tests.server.identity_repository import MODEL, write_identity_repository
from twinshelf.server.triton.child_processes import children
from twinshelf.server.triton.installation import TritonInstallation
from twinshelf.server.triton.process import TritonServer, TritonStartError
from twinshelf.server.triton.repository import RepositoryError
from twinshelf.server.triton.triton_config import TritonConfig, listen

PR_SET_CHILD_SUBREAPER = 36


def ask(address: str) -> list[list[float]]:
    sent = np.array([[1.0, 2.0]], np.float32)
    with triton.InferenceServerClient(address) as client:
        tensor = triton.InferInput("X", [1, 2], "FP32").set_data_from_numpy(sent)
        return client.infer(MODEL, [tensor], client_timeout=30).as_numpy("Y").tolist()


def settings_for(tmp_path: Path, **changes: Any) -> TritonConfig:
    repository = write_identity_repository(tmp_path / "models")
    return TritonConfig(model_repository=repository, models=(MODEL,), **changes)


def fake_server(tmp_path: Path, script: str) -> TritonInstallation:
    binary = tmp_path / "tritonserver"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return TritonInstallation(binary=binary, backends=tmp_path)


def shared_memory(server_port: str) -> list[Path]:
    return list(Path("/dev/shm").glob(f"twinshelf_{os.getpid()}_{server_port}_*"))


@pytest.fixture
def adopting() -> Iterator[None]:
    """This process is the parent of what loses its own below it, as the first of a container."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    yield
    prctl(PR_SET_CHILD_SUBREAPER, 0)


@pytest.mark.triton
@pytest.mark.parametrize("grpc_host", ["", "unix-abstract:twinshelf-test"])
def test_a_server_starts_again_on_its_ports_after_a_crash_and_leaves_nothing(
    tmp_path: Path, grpc_host: str
) -> None:
    settings = settings_for(tmp_path, grpc_host=grpc_host)
    server = TritonServer(settings)
    port = server.grpc_address.rpartition(":")[2]

    with server:
        assert ask(server.grpc_address) == [[1.0, 2.0]]
        assert shared_memory(port)
        assert server.pid is not None
        assert server._folder is not None
        with pytest.raises(BlockingIOError):  # so that no cleaner of /tmp takes its models away
            folder = os.open(server._folder.path, os.O_RDONLY)
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        server.kill()
        assert not server.is_running
        assert not shared_memory(port)
        server.start()
        assert ask(server.grpc_address) == [[1.0, 2.0]]

    assert not server.is_running
    assert server.pid is None
    assert not shared_memory(port)


@pytest.mark.triton
def test_a_model_that_does_not_load_is_named_with_the_reason(tmp_path: Path) -> None:
    repository = write_identity_repository(tmp_path)
    (repository / MODEL / "1" / "model.onnx").unlink()
    server = TritonServer(TritonConfig(model_repository=repository, models=(MODEL,)))

    with pytest.raises(
        TritonStartError, match=f"(?s)'{MODEL}'.*there is no ONNX file .*/model.onnx"
    ) as caught:
        server.start()

    assert len(str(caught.value)) < 1500
    assert not server.is_running


def test_a_taken_port_is_named_with_its_option(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]
        settings = settings_for(tmp_path, metrics_port=port)
        server = TritonServer(settings, fake_server(tmp_path, "exec sleep 60"))

        with pytest.raises(TritonStartError, match=rf"127.0.0.1:{port} .*--metrics-port"):
            server.start()


@pytest.mark.slow
def test_where_a_free_port_is_taken_by_others_another_one_is_chosen(tmp_path: Path) -> None:
    script = f'echo "$@" >> {tmp_path}/starts; echo Address already in use; exit 1'
    server = TritonServer(settings_for(tmp_path), fake_server(tmp_path, script))

    with pytest.raises(TritonStartError, match="already in use"):
        server.start()

    starts = (tmp_path / "starts").read_text().splitlines()
    assert len(starts) == len(set(starts)) == 4


def test_a_server_that_ends_at_once_shows_the_end_of_its_log(tmp_path: Path) -> None:
    server = TritonServer(settings_for(tmp_path), fake_server(tmp_path, "echo no licence; exit 7"))

    with pytest.raises(TritonStartError, match="(?s)did not start.*no licence"):
        server.start()


@pytest.mark.slow
def test_a_server_that_is_never_ready_is_given_up_in_time(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, ready_timeout_s=0.3)
    server = TritonServer(settings, fake_server(tmp_path, "echo loading; exec sleep 60"))

    with pytest.raises(TritonStartError, match="(?s)not ready after 0.3 s.*loading"):
        server.start()

    assert not server.is_running


@pytest.mark.slow
def test_a_server_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, ready_timeout_s=0.3, stop_timeout_s=0.2)
    server = TritonServer(
        settings, fake_server(tmp_path, "trap '' TERM; while true; do sleep 60; done")
    )

    with pytest.raises(TritonStartError):
        server.start()

    assert not server.is_running


def test_a_killed_server_leaves_no_zombies_where_its_processes_become_the_launchers(
    tmp_path: Path, adopting: None
) -> None:
    settings = settings_for(tmp_path, ready_timeout_s=0.3)
    before = children(os.getpid())
    server = TritonServer(settings, fake_server(tmp_path, "sleep 60 & exec sleep 60"))

    with pytest.raises(TritonStartError, match="not ready"):
        server.start()

    assert children(os.getpid()) <= before


def test_the_log_goes_where_it_is_told_and_is_appended_to(tmp_path: Path) -> None:
    log_path = tmp_path / "logs" / "triton.log"
    settings = settings_for(tmp_path, log_path=log_path)
    for number in (1, 2):
        with pytest.raises(TritonStartError) as caught:
            TritonServer(settings, fake_server(tmp_path, f"echo start {number}; exit 1")).start()
        assert f"start {number}" in str(caught.value)

    assert "start 1" not in str(caught.value)
    assert log_path.read_text().split() == ["start", "1", "start", "2"]


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = settings_for(tmp_path, log_path=tmp_path / "file" / "logs" / "triton.log")

    with pytest.raises(TritonStartError, match=r"triton\.log cannot be written: Not a directory"):
        TritonServer(settings, fake_server(tmp_path, "exec sleep 60")).start()


@pytest.mark.triton
def test_a_start_after_a_crash_serves_what_was_checked_and_a_new_start_checks_again(
    tmp_path: Path,
) -> None:
    repository = write_identity_repository(tmp_path)
    server = TritonServer(TritonConfig(model_repository=repository, version=1, models=(MODEL,)))
    with server:
        (repository / MODEL / "1" / "model.onnx").write_bytes(b"another")
        server.kill()
        server.start()
        assert ask(server.grpc_address) == [[1.0, 2.0]]

    with pytest.raises(RepositoryError, match="model.onnx of version 1 was changed"):
        server.start()
