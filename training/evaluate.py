"""Evaluates a trained encoder on held-out offers; prints tables and saves them with plots.

Run: python -m training.evaluate --run runs/demo
     python -m training.evaluate --run runs/demo --queries offers.csv --gallery catalogue.csv
     python -m training.evaluate --run runs/esci --judgements FOLDER
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console

from training.calibration import Method
from training.catalogues.table import parse_column_mapping
from training.device import choose_device
from training.evaluation.judged_search import judge_searches
from training.evaluation.run import EvaluationFiles, evaluate_run
from training.evaluation.settings import EvaluationSettings
from training.evaluation.tables import judged_table, result_tables


def build_parser() -> argparse.ArgumentParser:
    """Returns the command line."""
    defaults = EvaluationSettings()
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description="Judge a trained encoder on held-out offers, by image, by text and by both.",
    )
    add = parser.add_argument
    add("--run", type=Path, required=True, help="folder of the run (see training.train)")
    add("--queries", type=Path, help="table of offers, CSV or Parquet; default: the run's own")
    add("--gallery", type=Path, help="table of products to search; default: the run's own")
    add("--columns", type=parse_column_mapping, default={}, metavar="OURS=THEIRS,...",
        help="columns of --queries and --gallery, such as title=name,images=photo")  # fmt: skip
    add("--judgements", type=Path, metavar="PLACE",
        help="judged searches in the form of Amazon ESCI, a folder or a joined file: "
        "NDCG over the judged products of the held-out queries as well")  # fmt: skip
    add("--output", type=Path, help="folder of the results; default: the run's")
    add("--top-k", type=_read_ks, default=defaults.top_k, metavar="K,K,...",
        help="K of P@K, R@K, F1@K, NDCG@K and Acc@K (default: 1,5,10)")  # fmt: skip
    add("--candidates", type=int, default=defaults.candidate_count, metavar="COUNT",
        help="candidates per query that thresholds may accept (default: %(default)s)")  # fmt: skip
    add("--neighbours", type=int, default=defaults.neighbour_count, metavar="K",
        help="candidates that vote for a category (default: %(default)s)")  # fmt: skip
    add("--target-precision", type=float, default=defaults.target_precision, metavar="SHARE",
        help="precision that the match threshold is to reach (default: %(default)s)")  # fmt: skip
    add("--calibration", choices=get_args(Method), default=defaults.calibration_method,
        help="how scores become probabilities (default: %(default)s)")  # fmt: skip
    add("--tune", action="store_true",
        help="with --queries or --gallery: fit thresholds on half of these queries "
        "instead of taking those of the run")  # fmt: skip
    add("--seed", type=int, default=defaults.seed, help="seed (default: %(default)s)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    add("--no-plots", action="store_true", help="draw nothing")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluates as the command line says.

    Returns:
        0 after an evaluation, 1 when it could not be done; the reason is on standard error.
    """
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    files = EvaluationFiles(
        run=options.run,
        queries=options.queries,
        gallery=options.gallery,
        columns=options.columns,
        output=options.output,
    )
    try:
        settings = EvaluationSettings(
            top_k=options.top_k,
            candidate_count=options.candidates,
            near_count=min(EvaluationSettings().near_count, options.candidates),
            neighbour_count=options.neighbours,
            target_precision=options.target_precision,
            calibration_method=options.calibration,
            seed=options.seed,
            device=choose_device(options.device),
        )
        evaluation = evaluate_run(files, settings, tunes=options.tune, draws=not options.no_plots)
        judged = options.judgements and judge_searches(files, options.judgements, settings)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"evaluation failed: {error}\n")
        return 1
    console = Console()
    console.print(result_tables(evaluation.result))
    if judged:
        console.print(judged_table(judged))
    console.print(f"saved in {files.results_folder}", highlight=False)
    return 0


def _read_ks(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 1,5,10, got {text!r}") from None


if __name__ == "__main__":
    sys.exit(main())
