"""Triton and the service start together, and whatever happens, both have stopped afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from twinshelf.server import up
from twinshelf.server.triton.triton_config import free_ports, listen
from twinshelf.server.up import Deployment, UpOptions, main, plan_deployment

pytestmark = pytest.mark.slow

NOTE = "import os, sys, time\nopen(f'{sys.argv[1]}.pid', 'w').write(str(os.getpid()))\n"
MODULES = {
    "stay.py": NOTE + "time.sleep(60)\n",
    "fail.py": "print('port 8001 is taken'); raise SystemExit(3)\n",
    "healthy.py": NOTE + "from http.server import BaseHTTPRequestHandler, HTTPServer\n"
    "class Handler(BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200 if self.path == '/healthz' else 404)\n"
    "        self.end_headers()\n"
    "HTTPServer(('127.0.0.1', int(sys.argv[2])), Handler).serve_forever()\n",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with modules that stand for the two servers."""
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stand_in(monkeypatch: pytest.MonkeyPatch, triton: str, serve: str) -> None:
    (port,) = free_ports("127.0.0.1", (0,))
    deployment = Deployment(
        address="127.0.0.1:1",
        metrics_address=f"127.0.0.1:{port}",
        triton_address="127.0.0.1:2",
        commands={"triton": [triton, "triton"], "serve": [serve, "serve", str(port)]},
    )
    monkeypatch.setattr(up, "plan_deployment", lambda options: deployment)


def has_stopped(name: str) -> bool:
    try:
        os.kill(int(Path(f"{name}.pid").read_text()), 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("status", [0, 7])
def test_the_command_gets_the_address_and_its_status_is_ours(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], status: int
) -> None:
    stand_in(monkeypatch, "stay", "healthy")
    script = f"import os, sys; print(os.environ['TWINSHELF_ADDRESS']); sys.exit({status})"
    assert main(["--free-ports", "--logs", "logs", "--", sys.executable, "-c", script]) == status
    out = capfd.readouterr().out
    assert "service 127.0.0.1:1, Triton 127.0.0.1:2" in out and out.endswith("\n127.0.0.1:1\n")
    assert has_stopped("triton") and has_stopped("serve")


def test_a_server_that_ends_is_named_with_the_end_of_its_log(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stand_in(monkeypatch, "fail", "stay")
    assert main(["--free-ports", "--logs", "logs", "--", "true"]) == 1
    error = capfd.readouterr().err
    assert "triton ended with status 3" in error and "  port 8001 is taken" in error


def test_what_never_serves_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stand_in(monkeypatch, "stay", "stay")
    assert main(["--free-ports", "--logs", "logs", "--ready-timeout-s", "1"]) == 1
    error = capfd.readouterr().err
    assert "nothing serves after 1 s" in error
    assert "logs/triton.log ends:" in error and "logs/serve.log ends:" in error
    assert has_stopped("triton") and has_stopped("serve")


def test_a_command_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stand_in(monkeypatch, "stay", "healthy")
    assert main(["--free-ports", "--logs", "logs", "--", "no-such-command"]) == 1
    assert "no-such-command" in capfd.readouterr().err
    assert has_stopped("triton") and has_stopped("serve")


@pytest.mark.parametrize(
    ("signals", "before"),
    [
        ([signal.SIGINT], []),
        ([signal.SIGTERM], []),
        ([signal.SIGHUP], []),
        ([signal.SIGHUP, signal.SIGTERM], ["nohup"]),  # the first of which stops nothing
    ],
)
def test_a_signal_stops_both_in_order(
    folder: Path, hang_ups: None, signals: list[signal.Signals], before: list[str]
) -> None:
    (port,) = free_ports("127.0.0.1", (0,))
    script = (
        "from twinshelf.server import up\n"
        f"up.plan_deployment = lambda options: up.Deployment(address='a', metrics_address="
        f"'127.0.0.1:{port}', triton_address='t', commands={{'triton': ['stay', 'triton'], "
        f"'serve': ['healthy', 'serve', '{port}']}})\n"
        "raise SystemExit(up.main(['--free-ports', '--logs', 'logs']))\n"
    )
    command = [*before, sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and "service a" in process.stdout.readline()
        for number in signals:
            assert process.poll() is None
            process.send_signal(number)
            time.sleep(0.3 if before else 0)
        assert process.wait(30) == 0
    assert has_stopped("triton") and has_stopped("serve")


def test_a_usual_port_that_is_taken_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr("twinshelf.server.up.USUAL_PORTS", (port,) * 5)
        assert main(["--logs", "logs"]) == 1
    assert f"port {port} is taken: stop what listens there, or let --free" in capfd.readouterr().err


def test_the_environment_says_which_photos_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan_deployment(UpOptions()).commands["serve"][-2:] == ["--keep-thumbnails", "256"]
    monkeypatch.setenv("TWINSHELF_KEEP_THUMBNAILS", "512")
    assert "--keep-thumbnails" not in plan_deployment(UpOptions()).commands["serve"]


def test_free_ports_are_others_than_the_usual_ones() -> None:
    usual = plan_deployment(UpOptions(model_repository=Path("models"), version=2))
    assert (usual.address, usual.triton_address) == ("127.0.0.1:50051", "127.0.0.1:8001")
    assert usual.commands["triton"][:5] == [
        "twinshelf.server.triton", "--model-repository", "models", "--version", "2",
    ]  # fmt: skip
    free = plan_deployment(UpOptions(free_ports=True))
    addresses = {free.address, free.metrics_address, free.triton_address}
    assert len(addresses) == 3 and usual.address not in addresses
    assert free.triton_address in free.commands["serve"]
