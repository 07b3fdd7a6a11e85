"""A step runs its command once, says what failed, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from twinshelf.training.files import code_digest
from twinshelf.training.step import STOPPED, last_lines, main

MODULES = {
    "append.py": "import sys\nopen(sys.argv[1], 'a').write('x')\nprint('appended')\n",
    "fail.py": "print('halfway'); raise SystemExit('no such weights')\n",
    "stay.py": "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n",
}


@pytest.fixture(autouse=True)
def _modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules for `python -m`, in this process and below it."""
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    code_digest.cache_clear()


@pytest.fixture(autouse=True)
def _handlers() -> object:
    """Gives the signals their handlers back, which a step takes for its process."""
    before = {number: signal.getsignal(number) for number in (1, 2, 15)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


APPEND = ["--name", "append", "--outputs", "out.txt", "--logs", "logs", "--", "append", "out.txt"]


@pytest.mark.slow
def test_an_unchanged_step_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(APPEND) == 0
    assert "✓ append" in capfd.readouterr().out
    assert main(APPEND) == 0
    assert "✓ append    unchanged; FRESH=1 runs it again" in capfd.readouterr().out
    assert Path("out.txt").read_text() == "x"
    assert main(["--fresh", *APPEND]) == 0
    assert Path("out.txt").read_text() == "xx"
    assert Path("logs/append.log").read_text() == "appended\n"


@pytest.mark.slow
def test_without_logs_the_command_writes_to_the_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["--name", "append", "--outputs", "out.txt", "--", "append", "out.txt"]) == 0
    assert capfd.readouterr().out == "appended\n"


@pytest.mark.slow
def test_a_step_without_outputs_always_runs() -> None:
    for _ in range(2):
        assert main(["--name", "append", "--logs", "logs", "--", "append", "out.txt"]) == 0
    assert Path("out.txt").read_text() == "xx"


@pytest.mark.slow
def test_a_failure_says_what_ran_and_how_its_log_ends(capfd: pytest.CaptureFixture[str]) -> None:
    command = ["--name", "train", "--outputs", "w", "--logs", "logs", "--", "fail", "--run", "a b"]
    assert main(command) == 1
    out = capfd.readouterr().out
    assert "the step train ended with status 1" in out and "python -m fail --run 'a b'" in out
    assert "logs/train.log and ends:\n  halfway\n  no such weights" in out
    assert main(command) == 1


@pytest.mark.slow
def test_a_missing_input_and_a_missing_output_are_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--name", "train", "--inputs", "tables", "--", "fail"]) == 1
    assert "✗ train: there is no file or folder tables" in capfd.readouterr().out
    assert main(["--name", "append", "--outputs", "w", "--", "append", "out.txt"]) == 1
    assert "append ended well but did not write w" in capfd.readouterr().out


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@pytest.mark.slow
def test_a_signal_stops_the_command_too() -> None:
    command = [sys.executable, "-m", "twinshelf.training.step", "--name", "stay", "--", "stay"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: Path("pid").is_file() and Path("pid").read_text() != "")
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "stay was stopped by SIGTERM\n"
    assert process.returncode == STOPPED
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("pid").read_text()), 0)


def test_the_last_state_of_a_progress_bar_is_its_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"start\n 10%|#   |\r 50%|##  | epoch 2\r\n\n")
    assert last_lines(log) == ["start", " 50%|##  | epoch 2"]
    assert last_lines(tmp_path / "no") == []
