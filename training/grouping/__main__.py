"""Finds the duplicate groups of a catalogue; prints a table, and writes the groups as Parquet.

Run: python -m twinshelf.training.grouping --run runs/demo --products catalogue.parquet \
         --output groups.parquet
     python -m twinshelf.training.grouping --run runs/demo --products catalogue.parquet \
         --output groups.parquet --previous earlier.parquet
"""

from __future__ import annotations

import sys
from functools import partial

from rich.console import Console

from twinshelf.training.command_line import run_command
from twinshelf.training.grouping.grouping_config import GroupingOptions


def group(options: GroupingOptions) -> None:
    """Groups as `group_products` does, and prints the table."""
    from twinshelf.training.grouping.grouping_run import group_products, grouping_tables

    console = Console()
    console.print(grouping_tables(group_products(options)))
    console.print(f"saved in {options.output} and {options.results}", highlight=False)


main = partial(run_command, GroupingOptions, "twinshelf.training.grouping", group)

if __name__ == "__main__":
    sys.exit(main())
