"""The steps of the demonstration: commands that run to their end, skipped when nothing changed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from client.demo.stamps import Stamp, digest_inputs, read_stamp, write_stamp

LOOK_INTERVAL_S = 0.1
STOP_TIMEOUT_S = 20.0
TAIL_LINES = 25
TAIL_BYTES = 64 * 1024


class DemoError(Exception):
    """The demonstration cannot go on; the message says why, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command.

    Attributes:
        name: A verb, also the name of its log and stamp.
        arguments: What follows `python -m`.
        inputs: Files and folders that decide the result, beside the command itself.
        outputs: Files and folders that must be there afterwards.
        after: Digests of steps that it builds on.
    """

    name: str
    arguments: Sequence[str]
    inputs: Sequence[Path] = ()
    outputs: Sequence[Path] = ()
    after: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class StepRunner:
    """Runs steps, one line of progress each; their own output goes to log files."""

    def __init__(self, folder: Path, console: Console, *, skips_unchanged: bool = True) -> None:
        """Keeps where things go.

        Args:
            folder: Of the run; logs and stamps lie below it.
            console: Shows the progress.
            skips_unchanged: Whether a step with a fitting stamp is left out.
        """
        self._folder = folder
        self._console = console
        self._skips_unchanged = skips_unchanged

    def run(
        self, step: Step, find_facts: Callable[[str], Mapping[str, str]] | None = None
    ) -> Stamp:
        """Runs a step unless nothing changed since it last ran.

        Args:
            step: What to run.
            find_facts: Reads what later steps need from the command's output.

        Returns:
            The stamp, with the facts.

        Raises:
            DemoError: If the command fails or leaves an output out; the end of its log is shown.
        """
        stamp = self._fitting_stamp(step)
        if stamp is not None:
            report(self._console, step.name, "unchanged")
            return stamp
        digest = _digest(step)
        stamp_path = self.stamp_path(step.name)
        stamp_path.unlink(missing_ok=True)
        log = log_path(self._folder, step.name)
        self._execute(step, log)
        missing = [str(path) for path in step.outputs if not path.exists()]
        if missing:
            raise DemoError(f"the step {step.name} ended well but did not write {missing[0]}")
        facts = find_facts(log.read_text(encoding="utf-8", errors="replace")) if find_facts else {}
        stamp = Stamp(digest=digest, facts=facts)
        write_stamp(stamp_path, stamp)
        return stamp

    def is_unchanged(self, step: Step) -> bool:
        """Tells whether `run` would leave the step out."""
        return self._fitting_stamp(step) is not None

    def stamp_path(self, name: str) -> Path:
        """Returns where the stamp of a step lies.

        Args:
            name: Of the step.
        """
        return self._folder / "stamps" / f"{name}.json"

    def _fitting_stamp(self, step: Step) -> Stamp | None:
        stamp = read_stamp(self.stamp_path(step.name)) if self._skips_unchanged else None
        if stamp is None or not all(path.exists() for path in step.outputs):
            return None
        return stamp if stamp.digest == _digest(step) else None

    def _execute(self, step: Step, log: Path) -> None:
        started_s = time.monotonic()
        process = start_process(step.arguments, log, step.environment)
        try:
            with self._console.status(f"{step.name} …") as status:
                while process.poll() is None:
                    time.sleep(LOOK_INTERVAL_S)
                    elapsed_s = time.monotonic() - started_s
                    line = escape(last_line(log)[: max(20, self._console.width - 32)])
                    status.update(f"{step.name:<9} {elapsed_s:4.0f} s  [dim]{line}[/]")
        finally:
            stop_process(process)
        elapsed_s = time.monotonic() - started_s
        if process.returncode != 0:
            raise command_error(step.name, step.arguments, process.returncode, log)
        report(self._console, step.name, f"{elapsed_s:.1f} s")


def report(console: Console, name: str, what: str) -> None:
    """Prints the line of a step that is done.

    Args:
        console: Where to.
        name: The step.
        what: Seconds, or why it was left out.
    """
    console.print(f"[green]✓[/] {name:<9} [dim]{escape(what)}[/]")


@contextlib.contextmanager
def timed(name: str, console: Console) -> Iterator[None]:
    """Shows that something runs, and its line when it went well.

    Args:
        name: What runs.
        console: Where to.
    """
    started_s = time.monotonic()
    with console.status(f"{name} …"):
        yield
    report(console, name, f"{time.monotonic() - started_s:.1f} s")


def start_process(
    arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts `python -m ...` with its output going to a log.

    It gets a session of its own, so that Ctrl-C reaches the demonstration alone, which then stops
    everything in order.

    Args:
        arguments: What follows `python -m`.
        log: Overwritten; the first line is the command as a user would type it.
        environment: Variables on top of ours.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        output.write(f"$ python -m {' '.join(arguments)}\n".encode("utf-8", "surrogateescape"))
        output.flush()
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            start_new_session=True,
        )


def stop_process(process: subprocess.Popen[bytes], timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Stops a process: SIGTERM first, SIGKILL when that does not help in time.

    Args:
        process: Running or not.
        timeout_s: Time that it is given to stop in order, seconds.
    """
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # Whatever it had started itself, such as workers that load data, is in its session.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def log_path(folder: Path, name: str) -> Path:
    """Returns where the output of a step goes.

    Args:
        folder: Of the run.
        name: Of the step.
    """
    return folder / "logs" / f"{name}.log"


def command_error(name: str, arguments: Sequence[str], status: int | None, log: Path) -> DemoError:
    """Makes the error of a command that failed, with the end of its log.

    Args:
        name: The step.
        arguments: What followed `python -m`.
        status: Exit status; negative when a signal ended it.
        log: Its output.
    """
    status = status or 0
    ended = f"ended with status {status}" if status >= 0 else f"was killed by signal {-status}"
    return DemoError(
        f"the step {name} {ended}. It ran:\n  python -m {' '.join(arguments)}\n"
        f"Its output is in {log} and ends:\n{tail(log)}"
    )


def tail(log: Path, line_count: int = TAIL_LINES) -> str:
    """Returns the last lines of a log, indented.

    Args:
        log: The file; may be missing.
        line_count: Lines at most.
    """
    return "\n".join(f"  {line}" for line in _last_lines(log)[-line_count:])


def last_line(log: Path) -> str:
    """Returns the last line of a log that says something."""
    lines = [line for line in _last_lines(log) if any(map(str.isalnum, line))]
    return lines[-1].strip() if lines else ""


def _digest(step: Step) -> str:
    return digest_inputs([*step.arguments, *step.after], step.inputs)


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    # A progress bar writes its states over one another with carriage returns.
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return [line.rstrip() for line in lines if line.strip()]
