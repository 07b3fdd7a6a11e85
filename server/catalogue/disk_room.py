"""Whether there is room on a disk, or in the share of it that a quota allows."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

# What the system says of a full disk, and of a full share of one.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
# A disk with less room is full.
FULL_DISK_BYTES = 1 << 20


def has_room(folder: Path) -> bool:
    """Returns whether a file can still be written in a folder.

    A disk tells what is free on it, but not what a quota leaves of that: so a file is tried.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, FULL_DISK_BYTES)
    except OSError as error:
        return error.errno not in NO_ROOM
    return True
