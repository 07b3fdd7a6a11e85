"""Finds the duplicate groups of a catalogue; prints a table, and writes the groups as Parquet.

Run: python -m twinshelf.training.grouping --run runs/demo --products catalogue.parquet \
         --output groups.parquet
     python -m twinshelf.training.grouping --run runs/demo --products catalogue.parquet \
         --output groups.parquet --tune-on labelled.parquet --previous earlier.parquet
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from twinshelf.training.command_line import Device, read_command_line
from twinshelf.training.grouping.grouping_config import GroupingConfig, GroupingFiles
from twinshelf.training.runs.figures import figure_text

if TYPE_CHECKING:
    from twinshelf.training.grouping.grouping_run import GroupingResult


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingOptions:
    """Finds groups of the same product in a whole catalogue, by photo, text and both.

    When the file has groups of its own, the found ones are compared with them.

    Attributes:
        files: Where it reads and writes.
        config: How it is done.
        device: Where embeddings and scores are computed.
    """

    files: GroupingFiles
    config: GroupingConfig
    device: Device = "auto"


def main(arguments: Sequence[str] | None = None) -> int:
    """Groups as the command line says.

    Returns:
        0 after grouping, 1 when it could not be done; the reason is on standard error.
    """
    options = read_command_line(GroupingOptions, "twinshelf.training.grouping", arguments)
    # Here, since it takes seconds: a wrong value is told of at once.
    from twinshelf.training.grouping.grouping_run import group_products
    from twinshelf.training.model.encoder import choose_device

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    files, config = options.files, replace(options.config, device=choose_device(options.device))
    try:
        result = group_products(files, config)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"grouping failed: {error}\n")
        return 1
    console = Console()
    console.print(grouping_tables(result))
    console.print(f"saved in {files.output} and {files.results}", highlight=False)
    return 0


def grouping_tables(result: GroupingResult) -> RenderableType:
    """Returns what a grouping came to, as tables that a person reads."""
    table = Table(title="Groups of the same product", show_header=False)
    table.add_column("measure")
    table.add_column("value", justify="right")
    rows = {
        "products": str(result.product_count),
        "groups of two or more": str(result.group_count),
        "products in them": str(result.grouped_count),
        "largest group": str(result.largest_size),
        "estimated precision of pairs": figure_text(result.estimated_precision),
    }
    for pattern, count in result.edge_counts.items():
        threshold = result.thresholds.get(pattern, math.inf)
        text = f"{count} from {threshold:.3f} on" if math.isfinite(threshold) else "left out"
        rows[f"pairs by {pattern}"] = text
    if result.quality is not None:
        rows |= {
            "products of known group": str(result.quality.labelled_count),
            "F1 per row": figure_text(result.quality.row_f1),
            "F1 of pairs": figure_text(result.quality.pair_f1),
            "precision of pairs": figure_text(result.quality.pair_precision),
            "recall of pairs": figure_text(result.quality.pair_recall),
        }
    if not math.isnan(result.tuned_row_f1):
        rows["F1 per row where tuned"] = figure_text(result.tuned_row_f1)
    for name, value in rows.items():
        table.add_row(name, value)
    return Group(table, *(Text(f"Note: {note}") for note in result.notes))


if __name__ == "__main__":
    sys.exit(main())
