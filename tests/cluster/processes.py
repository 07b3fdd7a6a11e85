"""Processes that a run starts, by name: each has a log, and none outlives the run."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from twinshelf.server.triton.command import tied_to_this_process

_READY_TIMEOUT_S = 120.0
_LOG_TAIL_CHARACTERS = 2000


class ProcessError(RuntimeError):
    """A process did not start; the message ends with the end of its log."""


class Processes:
    """Starts and kills processes; to be used from the main thread, with which they would die."""

    def __init__(self, folder: Path) -> None:
        """Starts nothing.

        Args:
            folder: For the logs; must exist.
        """
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._numbers: list[int] = []

    def start(
        self, name: str, command: Sequence[str | Path], variables: Mapping[str, str] | None = None
    ) -> None:
        """Starts a process and waits for nothing.

        Args:
            name: How it is called; no other may run under this name.
            command: What is run.
            variables: What is set in its environment beside ours.
        """
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                tied_to_this_process([str(each) for each in command]),
                cwd=self._folder,
                env={**os.environ, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C ends the run, which then ends them in its own order.
                start_new_session=True,
            )
        self._numbers.append(self._running[name].pid)

    def wait_until(self, name: str, is_ready: Callable[[], bool]) -> None:
        """Waits for a process.

        Raises:
            ProcessError: If it ends, or takes too long.
        """
        deadline_s = time.monotonic() + _READY_TIMEOUT_S
        while not is_ready():
            if self._running[name].poll() is not None or time.monotonic() > deadline_s:
                log = (self._folder / f"{name}.log").read_text("utf-8", "replace")
                raise ProcessError(f"{name} did not start:\n{log[-_LOG_TAIL_CHARACTERS:]}")
            time.sleep(0.1)

    def kill(self, name: str) -> None:
        """Ends a process at once, as a power cut would."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def close(self) -> list[int]:
        """Ends all of them, the last one first. A repeat is safe.

        Returns:
            The numbers of all processes that were ever started.
        """
        for name in reversed(list(self._running)):
            self.kill(name)
        return self._numbers


def free_ports(count: int) -> list[int]:
    """Returns ports of 127.0.0.1 that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
