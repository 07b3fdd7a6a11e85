"""Predicts the category, or the product group, of held-out offers; prints a table and saves it.

Run: python -m twinshelf.training.categories --run runs/demo
     python -m twinshelf.training.categories --run runs/demo --label group --modality image \
         --gallery gallery.parquet train.parquet --queries queries.parquet
"""

from __future__ import annotations

import sys
from functools import partial

from rich.console import Console

from twinshelf.training.categories.category_config import CategoryOptions
from twinshelf.training.command_line import run_command


def categorise(options: CategoryOptions) -> None:
    """Predicts as `predict_categories` does, and prints the table."""
    from twinshelf.training.categories.category_results import result_table
    from twinshelf.training.categories.category_run import predict_categories

    console = Console()
    console.print(result_table(predict_categories(options)))
    console.print(f"saved in {options.results_folder}", highlight=False)


main = partial(run_command, CategoryOptions, "twinshelf.training.categories", categorise)

if __name__ == "__main__":
    sys.exit(main())
