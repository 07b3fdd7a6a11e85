r"""Runs a command as a step: not at all when its outputs are there, made from just these inputs.

    python -m twinshelf.training.step --name train --inputs TABLES --outputs runs/demo/weights -- \
        twinshelf.training.train --output runs/demo

With `--logs FOLDER` the step is one line on the terminal; what it prints goes to a file there,
whose end is shown when the step fails.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from twinshelf.server.command_line import positional, read_command_line
from twinshelf.training.files import Step

LOOK_INTERVAL_S = 0.1
STOP_TIMEOUT_S = 20.0
TAIL_LINES = 25
TAIL_BYTES = 64 * 1024
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILED, STOPPED = 1, 130


class StopRequestedError(Exception):
    """Ctrl-C, SIGTERM or the end of the terminal came; the message is the signal's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """Runs a command, unless its outputs are there and nothing that decides them changed.

    What decides them: its code, options, inputs, libraries.

    Attributes:
        name: A verb.
        inputs: Files and folders that it reads.
        outputs: Files that it makes.
        reading_list: File that it writes with the paths it read besides.
        logs: Folder for its output, instead of the terminal.
        fresh: Run it, changed or not.
        command: After --: what follows python -m.
    """

    name: str
    inputs: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    reading_list: Path | None = None
    logs: Path | None = None
    fresh: bool = False
    command: tuple[str, ...] = positional()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a step as the command line says; returns the command's status, 0 when left out."""
    options = read_command_line(StepOptions, "twinshelf.training.step", arguments)
    step = Step(
        name=options.name,
        module=options.command[0],
        options=options.command[1:],
        inputs=options.inputs,
        outputs=options.outputs,
        reading_list=options.reading_list,
    )
    log = options.logs and options.logs / f"{step.name}.log"
    # Tables in a log are as wide as they need to be read.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    for number in STOP_SIGNALS:
        signal.signal(number, _raise_once)
    try:
        if not options.fresh and step.is_done():
            _report(console, step.name, "unchanged; FRESH=1 runs it again")
            return 0
        with step.stamped():
            _run(step, log, console)
    except subprocess.CalledProcessError as error:
        _explain(error, step.name, log, console)
        return error.returncode if error.returncode > 0 else FAILED
    except StopRequestedError as request:
        console.print(f"{step.name} was stopped by {request}")
        return STOPPED
    except (OSError, ImportError, SyntaxError) as error:
        console.print(f"[red]✗[/] {step.name}: {escape(str(error))}", soft_wrap=True)
        return FAILED
    return 0


def last_lines(log: Path) -> list[str]:
    """Returns the last lines of a log that say something; none when there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    # A progress bar writes its states over one another with carriage returns.
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return [line.rstrip() for line in lines if line.strip()]


def _run(step: Step, log: Path | None, console: Console) -> None:
    """Runs the command to its end.

    Raises:
        CalledProcessError: If it fails.
        StopRequestedError: If a signal came; the command has ended then, too.
    """
    command = [sys.executable, "-m", step.module, *step.options]
    with contextlib.ExitStack() as stack:
        output = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = stack.enter_context(log.open("wb"))
        # A session of its own, so that Ctrl-C reaches us alone, and nothing below it stays behind.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        stack.callback(_stop, process)
        if log is None:
            process.wait()
        else:
            _watch(process, step, log, console)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)


def _watch(process: subprocess.Popen[bytes], step: Step, log: Path, console: Console) -> None:
    started_s = time.monotonic()
    with console.status(f"{step.name} …") as status:
        while process.poll() is None:
            time.sleep(LOOK_INTERVAL_S)
            said = [line for line in last_lines(log) if any(map(str.isalnum, line))]
            line = escape(said[-1].strip()[: max(20, console.width - 32)]) if said else ""
            elapsed_s = time.monotonic() - started_s
            status.update(f"{step.name:<9} {elapsed_s:4.0f} s  [dim]{line}[/]")
    if process.returncode == 0:
        _report(console, step.name, f"{time.monotonic() - started_s:.1f} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
    # What does not stop, and what it had started itself, such as workers that load data.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _report(console: Console, name: str, what: str) -> None:
    console.print(f"[green]✓[/] {name:<9} [dim]{escape(what)}[/]")


def _explain(
    error: subprocess.CalledProcessError, name: str, log: Path | None, console: Console
) -> None:
    status = error.returncode
    ended = f"ended with status {status}" if status > 0 else f"was killed by signal {-status}"
    text = f"the step {name} {ended}. It ran:\n  {shlex.join(['python', *error.cmd[1:]])}"
    if log is not None:
        tail = "\n".join(f"  {line}" for line in last_lines(log)[-TAIL_LINES:])
        text += f"\nIts output is in {log} and ends:\n{tail}"
    console.print(f"[red]✗[/] {escape(text)}", soft_wrap=True)


def _raise_once(number: int, frame: FrameType | None) -> None:
    # Stopping is bounded in time: a second signal must not break it off half-way.
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise StopRequestedError(signal.Signals(number).name)


if __name__ == "__main__":
    sys.exit(main())
