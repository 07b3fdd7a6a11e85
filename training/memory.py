"""Freed memory is kept for the next step of training, not given back to the system."""

from __future__ import annotations

import ctypes

# Parameters of mallopt, from malloc.h of the GNU C library.
TRIM_THRESHOLD = -1
TOP_PAD = -2
MMAP_MAX = -4
LARGEST_TRIM_THRESHOLD = 2**31 - 1
PAD_BYTES = 256 * 2**20


def keep_freed_memory() -> bool:
    """Tells the C library to keep what is freed; affects the whole process, for good.

    On a CPU each activation is some hundred megabytes that the C library asks of the system anew
    in every step. The system fills every page with zeros at its first touch, which takes as long as
    the arithmetic. What is kept is used again instead, and the process stays at its peak size.

    Returns:
        Whether the C library took all of it; one that has no `mallopt` (musl, macOS) does not.
    """
    library = ctypes.CDLL(None)  # what the process has loaded
    try:
        set_option = library.mallopt
    except AttributeError:
        return False
    options = ((MMAP_MAX, 0), (TRIM_THRESHOLD, LARGEST_TRIM_THRESHOLD), (TOP_PAD, PAD_BYTES))
    accepted = [set_option(name, value) for name, value in options]
    return all(accepted)
