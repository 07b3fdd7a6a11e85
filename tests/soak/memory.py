"""Resident memory of processes, looked at ten times a second."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType
from typing import Final, Self

import psutil

LOOK_S: Final = 0.1
MIB: Final = 1024 * 1024


def resident_mib(*processes: psutil.Process | None) -> float:
    """Returns the resident memory of processes together, MiB; those that ended count nothing."""
    total = 0
    for process in processes:
        if process is not None:
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    return round(total / MIB, 1)


class MemoryPeak:
    """The highest resident memory of a process while the block runs."""

    def __init__(self, process: psutil.Process | None) -> None:
        """Takes the process."""
        self._process = process
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_mib = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ends.is_set():
            self.peak_mib = max(self.peak_mib, resident_mib(self._process))
            self._ends.wait(LOOK_S)
