"""Lays runs side by side: where their settings differ, and what each came to.

Run: python -m twinshelf.training.runs runs/demo runs/base
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from rich.console import Console

from twinshelf.server.command_line import positional
from twinshelf.training.command_line import run_command


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonOptions:
    """Lays runs side by side: differing settings, metrics, environments.

    Attributes:
        runs: Folders of the runs.
        width: Width of the tables, in characters; default: the terminal's.
    """

    runs: tuple[Path, ...] = positional()
    width: Annotated[int | None, "1 or more"] = None


def compare(options: ComparisonOptions) -> None:
    """Prints the tables of the runs."""
    from twinshelf.training.runs.comparison import comparison_tables, read_run

    runs = [read_run(folder) for folder in options.runs]
    Console(width=options.width).print(comparison_tables(runs))


main = partial(run_command, ComparisonOptions, "twinshelf.training.runs", compare)

if __name__ == "__main__":
    sys.exit(main())
