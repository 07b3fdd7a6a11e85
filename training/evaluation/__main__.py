"""Evaluates a trained encoder on held-out offers; prints tables and saves them with plots.

Run: python -m twinshelf.training.evaluation --run runs/demo
     python -m twinshelf.training.evaluation --run runs/demo --queries new.csv --gallery all.csv
     python -m twinshelf.training.evaluation --run runs/esci --judgements FOLDER
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from twinshelf.training.command_line import run_command
from twinshelf.training.evaluation.evaluation_config import EvaluationConfig, EvaluationFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """Evaluates a trained encoder on held-out offers, by image, by text and by both.

    Attributes:
        files: Where it reads and writes.
        config: How it is done.
        judgements: Judged searches in the form of Amazon ESCI, a folder or a joined file: NDCG over
            the judged products of the held-out queries as well.
        tune: With --queries or --gallery: fit thresholds on half of these queries instead of taking
            those of the run.
        no_plots: Draw nothing.
    """

    files: EvaluationFiles
    config: EvaluationConfig
    judgements: Path | None = None
    tune: bool = False
    no_plots: bool = False


def evaluate(options: EvaluationOptions) -> None:
    """Evaluates as `evaluate_run` does, judged searches too, and prints the tables."""
    from twinshelf.training.evaluation.evaluation_run import evaluate_run
    from twinshelf.training.evaluation.evaluation_tables import judged_table, result_tables
    from twinshelf.training.evaluation.judged_search import evaluate_searches

    files, config = options.files, options.config
    result = evaluate_run(files, config, tunes=options.tune, draws=not options.no_plots)
    judged = options.judgements and evaluate_searches(
        files, options.judgements, device=config.device
    )
    console = Console()
    console.print(result_tables(result))
    if judged:
        console.print(judged_table(judged))
    console.print(f"saved in {files.results_folder}", highlight=False)


main = partial(run_command, EvaluationOptions, "twinshelf.training.evaluation", evaluate)

if __name__ == "__main__":
    sys.exit(main())
