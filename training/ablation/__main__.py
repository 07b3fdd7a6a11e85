"""Prints what each input, the training and the index are worth to a run; saves it as JSON.

Run: python -m training.ablation --run runs/demo
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from training.ablation.evaluator import AblationSource
from training.ablation.results import ablation_table
from training.ablation.run import RESULTS, ablate
from training.device import choose_device


def build_parser() -> argparse.ArgumentParser:
    """Returns the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.ablation",
        description="Compare a run by image, title, category and all text, before and after its "
        "training, by exact search and by usearch.",
    )
    add = parser.add_argument
    add("--run", type=Path, required=True, help="folder of the run (see training.train)")
    add("--queries", type=Path, help="table of offers; default: the run's own")
    add("--gallery", type=Path, help="table of products to search; default: the run's own")
    add("--image-weights", type=Path, metavar="FILE",
        help="weights before training; default: those that the run names")  # fmt: skip
    add("--text-encoder", metavar="FOLDER",
        help="pretrained text encoder; default: the one that the run names")  # fmt: skip
    add("--output", type=Path, metavar="FILE", help=f"default: RUN/{RESULTS}")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    add("--width", type=int, metavar="CHARACTERS", help="width of the table")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares as the command line says.

    Returns:
        0 after a comparison, 1 when it could not be done; the reason is on standard error.
    """
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    device = choose_device(options.device)
    source = AblationSource(
        run=options.run,
        queries=options.queries,
        gallery=options.gallery,
        image_weights=options.image_weights,
        text_encoder=options.text_encoder,
        device=device,
    )
    output = options.output or options.run / RESULTS
    try:
        found = ablate(source, output)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"ablation failed: {error}\n")
        return 1
    console = Console(width=options.width)
    console.print(ablation_table(found))
    console.print(f"saved in {output}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
