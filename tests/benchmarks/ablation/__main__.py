"""Prints what each input, the training and the index are worth to a run; saves it as JSON.

Run: python -m tests.benchmarks.ablation --run runs/demo
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from rich.console import Console

from tests.benchmarks.ablation.ablation_config import AblationConfig
from twinshelf.server.command_line import read_command_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares as the command line says.

    Returns:
        0 after a comparison, 1 when it could not be done; the reason is on standard error.
    """
    config = read_command_line(AblationConfig, "tests.benchmarks.ablation", arguments)
    # Here, since it takes seconds: a wrong value is told of at once.
    from tests.benchmarks.ablation.ablation_results import ablation_table
    from tests.benchmarks.ablation.ablation_run import ablate

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        found = ablate(config)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"ablation failed: {error}\n")
        return 1
    console = Console(width=config.width)
    console.print(ablation_table(found))
    console.print(f"saved in {config.results}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
