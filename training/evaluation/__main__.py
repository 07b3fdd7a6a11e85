"""Evaluates a trained encoder on held-out offers; prints tables and saves them with plots.

Run: python -m twinshelf.training.evaluation --run runs/demo
     python -m twinshelf.training.evaluation --run runs/demo --queries new.csv --gallery all.csv
     python -m twinshelf.training.evaluation --run runs/esci --judgements FOLDER
"""

from __future__ import annotations

import sys
from functools import partial

from rich.console import Console

from twinshelf.training.command_line import run_command
from twinshelf.training.evaluation.evaluation_config import EvaluationOptions


def evaluate(options: EvaluationOptions) -> None:
    """Evaluates as `evaluate_run` does, judged searches too, and prints the tables."""
    from twinshelf.training.evaluation.evaluation_run import evaluate_run
    from twinshelf.training.evaluation.evaluation_tables import judged_table, result_tables
    from twinshelf.training.evaluation.judged_search import evaluate_searches

    result = evaluate_run(options)
    judged = options.judgements and evaluate_searches(options, options.judgements)
    console = Console()
    console.print(result_tables(result))
    if judged:
        console.print(judged_table(judged))
    console.print(f"saved in {options.results_folder}", highlight=False)


main = partial(run_command, EvaluationOptions, "twinshelf.training.evaluation", evaluate)

if __name__ == "__main__":
    sys.exit(main())
