"""Tests of keeping Triton alive: the budget by itself, the rest with the real Triton."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tritonclient import grpc as triton

from tests.export.trained_pairs import make_pair_run
from tests.model_repository.tiny_repository import publish_tiny_version
from tests.model_repository.triton_calls import as_bytes, infer
from tests.server.identity_repository import MODEL, write_identity_repository
from twinshelf.export.pair_scorer_publishing import publish_pair_scorer
from twinshelf.server.triton.child_processes import children, command_line
from twinshelf.server.triton.healing import RestartBudget, TritonKeeper, TritonLostError
from twinshelf.server.triton.process import TritonServer
from twinshelf.server.triton.triton_config import TritonConfig, free_ports

PROJECT = Path(__file__).resolve().parents[3]
DEADLINE_S = 90


class Launcher:
    """`python -m twinshelf.server.triton` with the tiny encoders."""

    def __init__(self, repository: Path) -> None:
        (self.port,) = free_ports("127.0.0.1", (0,))
        self.process = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "twinshelf.server.triton",
                    f"--model-repository={repository}",
                ),
                *(f"--grpc-port={self.port}", "--http-port=0", "--metrics-port=0"),
                f"--log-file={repository / 'triton.log'}",
            ],
            cwd=PROJECT,
            # A proxy for the web, which canaries must not be sent to.
            env={
                **os.environ,
                "http_proxy": "http://127.0.0.1:9",
                "no_proxy": "",
                "no_grpc_proxy": "",
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, sentence: str) -> str:
        """Returns the lines up to the one with a sentence."""
        # A launcher that never says it is ended, which closes what is read here.
        timer = threading.Timer(DEADLINE_S, self.process.kill)
        timer.start()
        lines = ""
        try:
            assert self.process.stderr is not None
            for line in self.process.stderr:
                lines += line
                if sentence in line:
                    return lines
            raise AssertionError(f"{sentence!r} never came: {lines}")
        finally:
            timer.cancel()

    def victim(self, name: str) -> int:
        """Returns the process of the server, or that of a model."""
        (server,) = children(self.process.pid)
        if name == "server":
            return server
        stubs = children(server)
        return next(p for p in stubs if any(f"/{name}/" in word for word in command_line(p)))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("healing")
    publish_tiny_version(folder / "models")
    make_pair_run(folder / "run")
    publish_pair_scorer(folder / "run", folder / "models", version=1)
    return folder / "models"


@pytest.fixture
def launcher(repository: Path) -> Iterator[Launcher]:
    launcher = Launcher(repository)
    launcher.wait_for("Triton is ready after")
    yield launcher
    launcher.process.send_signal(signal.SIGTERM)
    try:
        assert launcher.process.wait(DEADLINE_S) == 0
    finally:
        launcher.process.kill()
        assert launcher.process.stderr is not None
        launcher.process.stderr.close()


@pytest.mark.triton
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "victim", "reason"),
    [
        (signal.SIGSTOP, "server", "has not answered for"),
        (signal.SIGSTOP, "image_tower", "has refused|has not answered for"),
        (signal.SIGSTOP, "text_preprocess", "has refused|has not answered for"),
        (signal.SIGSTOP, "pair_features", "pair_scorer has refused|has not answered for"),
        (signal.SIGKILL, "server", "it ended by itself (signal SIGKILL)"),
        (signal.SIGKILL, "fusion", "1 of its Python models died"),
    ],
)
def test_what_is_frozen_or_killed_is_started_again_on_the_same_port(
    launcher: Launcher, number: signal.Signals, victim: str, reason: str
) -> None:
    with triton.InferenceServerClient(f"127.0.0.1:{launcher.port}") as client:
        infer(client, "text_encoder", TEXT=as_bytes([b"tea"]))  # a connection is open
        os.kill(launcher.victim(victim), number)
        told = launcher.wait_for("Triton is ready again after")

    assert "Triton is started again in 0 s" in told
    assert any(each in told for each in reason.split("|")), told
    with triton.InferenceServerClient(f"127.0.0.1:{launcher.port}") as client:
        answer = infer(client, "text_encoder", TEXT=as_bytes([b"tea"]))
    assert answer["TEXT_EMBEDDING"].shape == (1, 256)


def test_restarts_are_bounded_in_a_window_and_their_pauses_grow() -> None:
    budget = RestartBudget()

    pauses = [budget.take(now) for now in (0.0, 10.0, 20.0, 30.0, 40.0)]

    assert pauses == sorted(pause for pause in pauses if pause is not None)
    assert pauses[0] == 0
    assert budget.take(50.0) is None
    assert budget.take(599.0) is None
    assert budget.take(601.0) == pauses[-1]  # the first has left the window


@pytest.mark.triton
def test_a_server_that_does_not_stay_is_given_up_with_the_last_reason(tmp_path: Path) -> None:
    settings = TritonConfig(
        model_repository=write_identity_repository(tmp_path), version=1, models=(MODEL,)
    )
    with TritonServer(settings) as server:
        keeper = TritonKeeper(
            server, settings.models, stuck_after_s=3, budget=RestartBudget(pauses_s=(0.0,))
        )
        assert keeper.look() is None
        server.kill()
        assert keeper.look() == "it ended by itself (it was killed)"
        keeper.heal("first")
        assert keeper.look() is None
        with pytest.raises(
            TritonLostError, match="given up after 1 restarts in 10 minutes: second"
        ):
            keeper.heal("second")
        assert not server.is_running
        keeper.close()


def test_a_time_that_is_not_above_zero_is_refused(tmp_path: Path) -> None:
    settings = TritonConfig(model_repository=write_identity_repository(tmp_path), models=(MODEL,))
    with pytest.raises(ValueError, match="stuck_after_s must be above 0, got 0"):
        TritonKeeper(TritonServer(settings), settings.models, stuck_after_s=0)
