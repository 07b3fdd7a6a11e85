"""What the commands of training have in common beside the reading of their command lines."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Literal

from twinshelf.server.command_line import Options, read_command_line

Device = Literal["auto", "cpu", "cuda"]


def choose_device(device: str) -> str:
    """Returns the device to compute on: "auto" takes a GPU if there is one, another name itself."""
    if device != "auto":
        return device
    from torch import cuda  # here, since it takes seconds

    return "cuda" if cuda.is_available() else "cpu"


def run_command(
    kind: type[Options],
    program: str,
    work: Callable[[Options], None],
    arguments: Sequence[str] | None = None,
) -> int:
    """Reads the options of a program and does its work.

    Args:
        kind: As in `read_command_line`, like `program` and `arguments`.
        program: Module that `python -m` runs.
        work: What is done. It imports by itself what takes seconds to load.
        arguments: The command line.

    Returns:
        0; or 1 where the work could not be done, the reason then being on standard error.

    Raises:
        SystemExit: As `read_command_line`.
    """
    options = read_command_line(kind, program, arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        work(options)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{program.rpartition('.')[2]} failed: {error}\n")
        return 1
    return 0
