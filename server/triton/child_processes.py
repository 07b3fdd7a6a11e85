"""The processes below another one, as Linux tells them in /proc."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> set[int]:
    """Returns the process ids of the children of a process, dead ones not waited for included."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread, or the process, has just ended
            found.update(int(child) for child in path.read_text().split())
    return found


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended (a zombie has)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    # The name of the program stands in brackets and may hold any character.
    return status.rpartition(")")[2].split()[0] not in "ZX"


def command_line(pid: int) -> list[str]:
    """Returns the words that a process was started with; none when it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return []


def cpu_time_s(pid: int) -> float:
    """Returns the processor time that a process has used; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    user, system = status.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS_PER_S
