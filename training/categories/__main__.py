"""Predicts the category, or the product group, of held-out offers; prints a table and saves it.

Run: python -m twinshelf.training.categories --run runs/demo
     python -m twinshelf.training.categories --run runs/demo --label group --modality image \
         --gallery gallery.parquet train.parquet --queries queries.parquet
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from twinshelf.training.categories.category_config import CategoryConfig, CategoryFiles
from twinshelf.training.command_line import Device, read_command_line


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryOptions:
    """Predicts categories by vote of the nearest products and by a small network.

    What can be tuned is tuned on one part of the offers; weighted F1 is reported on the other.

    Attributes:
        files: Where it reads and writes.
        config: How it is done.
        device: Where embeddings and scores are computed.
    """

    files: CategoryFiles
    config: CategoryConfig
    device: Device = "auto"


def main(arguments: Sequence[str] | None = None) -> int:
    """Predicts as the command line says.

    Returns:
        0 after an evaluation, 1 when it could not be done; the reason is on standard error.
    """
    options = read_command_line(CategoryOptions, "twinshelf.training.categories", arguments)
    # Here, since it takes seconds: a wrong value is told of at once.
    from twinshelf.training.categories.category_results import result_table
    from twinshelf.training.categories.category_run import predict_categories
    from twinshelf.training.model.encoder import choose_device

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    files, config = options.files, replace(options.config, device=choose_device(options.device))
    try:
        result = predict_categories(files, config)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"categories failed: {error}\n")
        return 1
    console = Console()
    console.print(result_table(result))
    console.print(f"saved in {files.results_folder(config.label)}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
