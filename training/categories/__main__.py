"""Predicts the category, or the product group, of held-out offers; prints a table and saves it.

Run: python -m twinshelf.training.categories --run runs/demo
     python -m twinshelf.training.categories --run runs/demo --label group --modality image \
         --gallery gallery.parquet train.parquet --queries queries.parquet
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from twinshelf.training.categories.category_config import CategoryConfig, CategoryFiles
from twinshelf.training.command_line import run_command


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryOptions:
    """Predicts categories by vote of the nearest products and by a small network.

    What can be tuned is tuned on one part of the offers; weighted F1 is reported on the other.

    Attributes:
        files: Where it reads and writes.
        config: How it is done.
    """

    files: CategoryFiles
    config: CategoryConfig


def categorise(options: CategoryOptions) -> None:
    """Predicts as `predict_categories` does, and prints the table."""
    from twinshelf.training.categories.category_results import result_table
    from twinshelf.training.categories.category_run import predict_categories

    files, config = options.files, options.config
    result = predict_categories(files, config)
    console = Console()
    console.print(result_table(result))
    console.print(f"saved in {files.results_folder(config.label)}", highlight=False)


main = partial(run_command, CategoryOptions, "twinshelf.training.categories", categorise)

if __name__ == "__main__":
    sys.exit(main())
