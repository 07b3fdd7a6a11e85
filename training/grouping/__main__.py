"""Finds the duplicate groups of a catalogue; prints a table, and writes the groups as Parquet.

Run: python -m twinshelf.training.grouping --run runs/demo --products catalogue.parquet \
         --output groups.parquet
     python -m twinshelf.training.grouping --run runs/demo --products catalogue.parquet \
         --output groups.parquet --previous earlier.parquet
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.text import Text

from twinshelf.training.command_line import run_command
from twinshelf.training.grouping.grouping_config import GroupingOptions
from twinshelf.training.runs.figures import figure_table, figure_text

if TYPE_CHECKING:
    from twinshelf.training.grouping.grouping_run import GroupingResult


def group(options: GroupingOptions) -> None:
    """Groups as `group_products` does, and prints the table."""
    from twinshelf.training.grouping.grouping_run import group_products

    console = Console()
    console.print(grouping_tables(group_products(options)))
    console.print(f"saved in {options.output} and {options.results}", highlight=False)


def grouping_tables(result: GroupingResult) -> RenderableType:
    """Returns what a grouping came to, as tables that a person reads."""
    rows = {
        "products": str(result.product_count),
        "groups of two or more": str(result.group_count),
        "products in them": str(result.grouped_count),
        "largest group": str(result.largest_size),
        "estimated precision of pairs": figure_text(result.estimated_precision),
    }
    for pattern, count in result.edge_counts.items():
        rows[f"pairs by {pattern}"] = f"{count} from {result.thresholds[pattern]:.3f} on"
    if result.quality is not None:
        rows |= {
            "products of known group": str(result.quality.labelled_count),
            "F1 per row": figure_text(result.quality.row_f1),
            "F1 of pairs": figure_text(result.quality.pair_f1),
            "precision of pairs": figure_text(result.quality.pair_precision),
            "recall of pairs": figure_text(result.quality.pair_recall),
        }
    cells = {name: [value] for name, value in rows.items()}
    table = figure_table("Groups of the same product", ("measure", "value"), cells)
    return Group(table, *(Text(f"Note: {note}") for note in result.notes))


main = partial(run_command, GroupingOptions, "twinshelf.training.grouping", group)

if __name__ == "__main__":
    sys.exit(main())
