"""The processes below another one, as Linux tells them in /proc."""

from __future__ import annotations

import contextlib
from pathlib import Path


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
