"""Predicts the category, or the product group, of held-out offers; prints a table and saves it.

Run: python -m training.categories --run runs/demo
     python -m training.categories --run runs/demo --label group --modality image \
         --gallery gallery.parquet train.parquet --queries queries.parquet
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console

from training.calibration import PATTERNS
from training.catalogues.table import parse_column_mapping
from training.categories.labels import LabelField
from training.categories.mlp import MlpConfig
from training.categories.results import result_table
from training.categories.run import CategoryFiles, predict_categories
from training.categories.settings import CategorySettings
from training.device import choose_device


def build_parser() -> argparse.ArgumentParser:
    """Returns the command line."""
    defaults = CategorySettings()
    parser = argparse.ArgumentParser(
        prog="python -m training.categories",
        description="Predict categories by vote of the nearest products and by a small network; "
        "tune on one part of the offers, report weighted F1 on the other.",
    )
    add = parser.add_argument
    add("--run", type=Path, required=True, help="folder of the run (see training.train)")
    add("--gallery", type=Path, nargs="+", default=[], metavar="FILE",
        help="tables of products of known label; default: the run's own gallery")  # fmt: skip
    add("--queries", type=Path, metavar="FILE",
        help="table of held-out offers; default: the run's own")  # fmt: skip
    add("--validation", type=Path, metavar="FILE",
        help="table of offers to tune on, so that all queries are reported; "
        "default: one half of the queries")  # fmt: skip
    add("--chosen", type=Path, metavar="FOLDER",
        help="judge the K, margins and networks saved there instead of tuning")  # fmt: skip
    add("--columns", type=parse_column_mapping, default={}, metavar="OURS=THEIRS,...",
        help="columns of the tables, such as title=name,images=photo")  # fmt: skip
    add("--label", choices=get_args(LabelField), default=defaults.label,
        help="what is predicted (default: %(default)s)")  # fmt: skip
    add("--modality", choices=PATTERNS, nargs="+", default=list(defaults.patterns),
        help="by what (default: each)")  # fmt: skip
    add("--neighbours", type=int, default=defaults.most_neighbours, metavar="K",
        help="largest K that is tried (default: %(default)s)")  # fmt: skip
    add("--target-accuracy", type=float, default=defaults.target_accuracy, metavar="SHARE",
        help="right answers wanted, by abstaining from others (default: %(default)s)")  # fmt: skip
    add("--output", type=Path, metavar="FOLDER",
        help="folder of the results; default: RUN/categories/LABEL")  # fmt: skip
    add("--seed", type=int, default=defaults.seed, help="seed (default: %(default)s)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Predicts as the command line says.

    Returns:
        0 after an evaluation, 1 when it could not be done; the reason is on standard error.
    """
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    files = CategoryFiles(
        run=options.run,
        gallery=tuple(options.gallery),
        queries=options.queries,
        validation=options.validation,
        chosen=options.chosen,
        columns=options.columns,
        output=options.output,
    )
    try:
        settings = CategorySettings(
            label=options.label,
            patterns=tuple(dict.fromkeys(options.modality)),
            most_neighbours=options.neighbours,
            target_accuracy=options.target_accuracy,
            seed=options.seed,
            mlp=MlpConfig(seed=options.seed),
            device=choose_device(options.device),
        )
        result = predict_categories(files, settings)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"categories failed: {error}\n")
        return 1
    console = Console()
    console.print(result_table(result))
    console.print(f"saved in {files.results_folder(settings.label)}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
