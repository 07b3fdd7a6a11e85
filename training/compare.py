"""Lays runs side by side: where their settings differ, and what each came to.

Run: python -m training.compare runs/demo runs/base
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from training.runs.comparison import comparison_tables, read_run


def build_parser() -> argparse.ArgumentParser:
    """Returns the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.compare",
        description="Lay runs side by side: differing settings, metrics, environments.",
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument("--width", type=int, metavar="CHARACTERS",
        help="width of the tables; default: the terminal's")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares as the command line says.

    Returns:
        0 after a comparison, 1 when a run cannot be read; the reason is on standard error.
    """
    options = build_parser().parse_args(arguments)
    try:
        runs = [read_run(folder) for folder in options.runs]
    except (ValueError, OSError) as error:
        sys.stderr.write(f"comparison failed: {error}\n")
        return 1
    Console(width=options.width).print(comparison_tables(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
