"""Finds the duplicate groups of a catalogue; prints a table, and writes the groups as Parquet.

Run: python -m training.grouping --run runs/demo --products catalogue.parquet \
         --output groups.parquet
     python -m training.grouping --run runs/demo --products catalogue.parquet \
         --output groups.parquet --tune-on labelled.parquet --previous earlier.parquet
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from training.catalogues.table import parse_column_mapping
from training.device import choose_device
from training.grouping.run import GroupingFiles, GroupingResult, group_products
from training.grouping.settings import GroupingSettings


def build_parser() -> argparse.ArgumentParser:
    """Returns the command line."""
    defaults = GroupingSettings()
    parser = argparse.ArgumentParser(
        prog="python -m training.grouping",
        description="Find groups of the same product in a whole catalogue, by photo, text and "
        "both. When the file has groups of its own, the found ones are judged by them.",
    )
    add = parser.add_argument
    add("--run", type=Path, required=True, help="folder of the run, evaluated before")
    add("--products", type=Path, nargs="+", required=True, metavar="FILE",
        help="tables of products, CSV or Parquet")  # fmt: skip
    add("--output", type=Path, required=True, metavar="FILE",
        help="table of groups, ending in .parquet; figures lie beside it as .json")  # fmt: skip
    add("--columns", type=parse_column_mapping, default={}, metavar="OURS=THEIRS,...",
        help="columns of the tables, such as title=name,images=photo")  # fmt: skip
    add("--tune-on", type=Path, metavar="FILE",
        help="table of products with groups; thresholds with the best F1 per row on it are taken "
        "instead of those of the calibration")  # fmt: skip
    add("--chosen", type=Path, metavar="FILE.json",
        help="results of an earlier grouping whose thresholds are taken")  # fmt: skip
    add("--previous", type=Path, metavar="FILE",
        help="table of an earlier grouping: groups keep its names")  # fmt: skip
    add("--neighbours", type=int, default=defaults.neighbour_count, metavar="K",
        help="nearest products that may become edges (default: %(default)s)")  # fmt: skip
    add("--most-members", type=int, default=defaults.most_members, metavar="COUNT",
        help="larger groups are split (default: %(default)s)")  # fmt: skip
    add("--least-density", type=float, default=defaults.least_density, metavar="SHARE",
        help="looser groups, such as chains, are split; 0 allows chains "
        "(default: %(default)s)")  # fmt: skip
    add("--one-sided", action="store_true",
        help="accept edges that only one of both products has among its nearest")  # fmt: skip
    add("--most-exact", type=int, default=defaults.most_exact_rows, metavar="COUNT",
        help="products up to which the search is exact; above, by an index "
        "(default: %(default)s)")  # fmt: skip
    add("--threads", type=int, default=defaults.thread_count, metavar="COUNT",
        help="threads of the index (default: %(default)s)")  # fmt: skip
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Groups as the command line says.

    Returns:
        0 after grouping, 1 when it could not be done; the reason is on standard error.
    """
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        files = GroupingFiles(
            run=options.run,
            products=tuple(options.products),
            output=options.output,
            columns=options.columns,
            previous=options.previous,
            labelled=options.tune_on,
            chosen=options.chosen,
        )
        settings = GroupingSettings(
            neighbour_count=options.neighbours,
            needs_mutual_edges=not options.one_sided,
            most_members=options.most_members,
            least_density=options.least_density,
            most_exact_rows=options.most_exact,
            thread_count=options.threads,
            device=choose_device(options.device),
        )
        result = group_products(files, settings)
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
    }
    for pattern, count in result.edge_counts.items():
        threshold = result.thresholds.get(pattern, math.inf)
        text = f"{count} from {threshold:.3f} on" if math.isfinite(threshold) else "left out"
        rows[f"pairs by {pattern}"] = text
    if result.quality is not None:
        rows |= {
            "products of known group": str(result.quality.labelled_count),
            "F1 per row": _number(result.quality.row_f1),
            "F1 of pairs": _number(result.quality.pair_f1),
            "precision of pairs": _number(result.quality.pair_precision),
            "recall of pairs": _number(result.quality.pair_recall),
        }
    if not math.isnan(result.tuned_row_f1):
        rows["F1 per row where tuned"] = _number(result.tuned_row_f1)
    for name, value in rows.items():
        table.add_row(name, value)
    return Group(table, *(Text(f"Note: {note}") for note in result.notes))


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
