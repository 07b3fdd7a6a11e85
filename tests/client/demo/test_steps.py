"""Steps run their command once, say what failed, and leave no process behind."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from client.demo.services import RunningServices, Service, free_ports
from client.demo.steps import (
    DemoError,
    Step,
    StepRunner,
    last_line,
    start_process,
    stop_process,
)
from tests.client.fake_service import wait_until


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=120)


@pytest.fixture(autouse=True)
def _commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules for `python -m`: one appends to a file, one fails, two stay."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "append.py").write_text(
        "import sys\nopen(sys.argv[1], 'a').write('x')\nprint('version 7')\n"
    )
    (modules / "fail.py").write_text("print('halfway'); raise SystemExit('no such weights')\n")
    (modules / "stay.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    (modules / "stubborn.py").write_text(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', flush=True)\ntime.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(modules))


def append_step(folder: Path, **changes: object) -> Step:
    values = {
        "name": "append",
        "arguments": ["append", str(folder / "out")],
        "inputs": [folder / "in"],
        "outputs": [folder / "out"],
    }
    return Step(**(values | changes))  # type: ignore[arg-type]


def run_count(folder: Path) -> int:
    return len((folder / "out").read_text())


def test_an_unchanged_step_is_left_out(tmp_path: Path, console: Console) -> None:
    runner = StepRunner(tmp_path / "run", console)
    first = runner.run(append_step(tmp_path))
    assert runner.is_unchanged(append_step(tmp_path))
    assert runner.run(append_step(tmp_path)) == first
    assert run_count(tmp_path) == 1
    assert "unchanged" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_step_runs_again_for_a_changed_input_argument_or_predecessor(
    tmp_path: Path, console: Console
) -> None:
    runner = StepRunner(tmp_path / "run", console)
    runner.run(append_step(tmp_path))
    (tmp_path / "in").write_text("new")
    runner.run(append_step(tmp_path))
    runner.run(append_step(tmp_path, after=["other"]))
    runner.run(append_step(tmp_path, arguments=["append", str(tmp_path / "out"), "more"]))
    assert run_count(tmp_path) == 4


def test_a_step_runs_again_when_its_output_is_gone_or_when_told(
    tmp_path: Path, console: Console
) -> None:
    runner = StepRunner(tmp_path / "run", console)
    runner.run(append_step(tmp_path))
    (tmp_path / "out").unlink()
    runner.run(append_step(tmp_path))
    StepRunner(tmp_path / "run", console, skips_unchanged=False).run(append_step(tmp_path))
    assert run_count(tmp_path) == 2


def test_facts_are_kept_in_the_stamp(tmp_path: Path, console: Console) -> None:
    runner = StepRunner(tmp_path / "run", console)
    for _ in range(2):
        stamp = runner.run(append_step(tmp_path), lambda text: {"said": text.splitlines()[1]})
        assert stamp.facts == {"said": "version 7"}


def test_a_failing_step_names_the_command_and_shows_its_last_words(
    tmp_path: Path, console: Console
) -> None:
    runner = StepRunner(tmp_path / "run", console)
    step = Step(name="train", arguments=["fail"])
    with pytest.raises(DemoError) as raised:
        runner.run(step)
    message = str(raised.value)
    assert "the step train ended with status 1" in message and "python -m fail" in message
    assert "halfway" in message and "no such weights" in message
    assert not runner.is_unchanged(step)


def test_a_step_that_leaves_its_output_out_fails(tmp_path: Path, console: Console) -> None:
    runner = StepRunner(tmp_path / "run", console)
    with pytest.raises(DemoError, match="did not write"):
        runner.run(append_step(tmp_path, outputs=[tmp_path / "other"]))


def test_progress_bars_show_their_last_state(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"start\n 10%|#   |\r 50%|##  | epoch 2\r\n----\n")
    assert last_line(log) == "50%|##  | epoch 2"
    assert last_line(tmp_path / "no") == ""


@pytest.mark.parametrize("module", ["stay", "stubborn"])
def test_a_process_is_stopped_even_when_it_will_not(tmp_path: Path, module: str) -> None:
    log = tmp_path / "log"
    process = start_process([module], log)
    wait_until(lambda: "up" in log.read_text())
    stop_process(process, timeout_s=5 if module == "stay" else 0.2)
    assert process.poll() is not None
    stop_process(process)


def test_services_stop_when_the_block_fails(tmp_path: Path, console: Console) -> None:
    log = tmp_path / "logs" / "stay.log"
    service = Service(name="stay", arguments=["stay"], is_ready=lambda: "up" in log.read_text())
    services = RunningServices(tmp_path, console)
    with pytest.raises(RuntimeError, match="matching failed"), services:
        services.start(service)
        pid = services._processes[0][1].pid
        os.kill(pid, 0)
        raise RuntimeError("matching failed")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_service_that_ends_by_itself_is_reported(tmp_path: Path, console: Console) -> None:
    service = Service(name="triton", arguments=["fail"], is_ready=lambda: False)
    with RunningServices(tmp_path, console) as services:
        with pytest.raises(DemoError, match="(?s)the step triton ended.*no such weights"):
            services.start(service)


def test_free_ports_differ() -> None:
    assert len(set(free_ports(5))) == 5
