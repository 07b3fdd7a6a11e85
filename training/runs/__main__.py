"""Lays runs side by side: where their settings differ, and what each came to.

Run: python -m twinshelf.training.runs runs/demo runs/base
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from twinshelf.training.command_line import check_ranges, positional, read_command_line


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonOptions:
    """Lays runs side by side: differing settings, metrics, environments.

    Attributes:
        runs: Folders of the runs.
        width: Width of the tables, in characters; default: the terminal's.

    Raises:
        ValueError: If a value is out of range.
    """

    runs: tuple[Path, ...] = positional()
    width: int | None = None

    def __post_init__(self) -> None:
        check_ranges(self, width="1 or more")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares as the command line says.

    Returns:
        0 after a comparison, 1 when a run cannot be read; the reason is on standard error.
    """
    options = read_command_line(ComparisonOptions, "twinshelf.training.runs", arguments)
    # Here, since it takes seconds: a wrong value is told of at once.
    from twinshelf.training.runs.comparison import comparison_tables, read_run

    try:
        runs = [read_run(folder) for folder in options.runs]
    except (ValueError, OSError) as error:
        sys.stderr.write(f"comparison failed: {error}\n")
        return 1
    Console(width=options.width).print(comparison_tables(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
