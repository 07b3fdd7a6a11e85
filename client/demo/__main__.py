"""Runs the whole path, each step as the command that its user would type.

python -m client.demo
python -m client.demo --data grocery --data-dir ../shared/data/grocery
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from client.demo.contact_page import write_page
from client.demo.contact_sheet import write_sheet
from client.demo.held_out import MatchedOffer
from client.demo.path import PublishedEncoder, make_encoder, serve_and_match
from client.demo.plan import DemoPlan
from client.demo.report import matches_table, metrics_table, recall_table, sheet_title
from client.demo.signals import StopRequestedError, stop_requests
from client.demo.steps import DemoError, StepRunner
from client.errors import TwinshelfError
from client.product_file import ProductFileError

DONE, FAILED, INTERRUPTED = 0, 1, 130
OFFERS_PRINTED = 12
OFFERS_ON_SHEET = 10
OFFERS_ON_PAGE = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demonstration; returns 0 when every step went well.

    Args:
        arguments: The command line without the program's name; None takes that of the process.
    """
    options = _build_parser().parse_args(arguments)
    # Tables in a log are as wide as they need to be read.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        with stop_requests():
            _run(options, console)
    except StopRequestedError as request:
        console.print(f"stopped by {request}, and with it everything that was started")
        return INTERRUPTED
    except (DemoError, ProductFileError, TwinshelfError) as error:
        console.print(f"[red]✗[/] {escape(str(error))}", soft_wrap=True)
        return FAILED
    return DONE


def _run(options: argparse.Namespace, console: Console) -> None:
    started_s = time.monotonic()
    plan = DemoPlan(
        data=options.data,
        data_dir=options.data_dir,
        columns=options.columns,
        config=options.config,
        image_weights=options.image_weights,
        prepare_options=tuple(options.prepare_option),
        training_options=tuple(options.train_option),
        repository=options.repository,
        query_count=options.queries,
    )
    runner = StepRunner(plan.run, console, skips_unchanged=not options.fresh)
    encoder = make_encoder(plan, runner)
    matched = serve_and_match(plan, runner, encoder, console)
    console.print()
    console.print(metrics_table(plan.run / "evaluation.json"))
    _show(plan, matched, console)
    console.print(f"\nDone in {time.monotonic() - started_s:.0f} s. To go on by hand:")
    for command in _next_commands(plan, encoder):
        console.print(f"  {command}", soft_wrap=True)


def _show(plan: DemoPlan, matched: Mapping[str, Sequence[MatchedOffer]], console: Console) -> None:
    shown = matched["both"] or matched["image"] or matched["text"]
    console.print()
    console.print(matches_table(shown[:OFFERS_PRINTED]))
    console.print()
    console.print(recall_table(matched))
    sheet, page = plan.run / "matches.png", plan.run / "matches.html"
    title, subtitle = sheet_title(plan.name, matched)
    write_sheet(sheet, shown[:OFFERS_ON_SHEET], title=title, subtitle=subtitle)
    write_page(page, shown[:OFFERS_ON_PAGE], title=title, subtitle=subtitle)
    console.print(f"\nContact sheet: {sheet} and {page}", soft_wrap=True)


def _next_commands(plan: DemoPlan, encoder: PublishedEncoder) -> list[str]:
    return [
        f"make triton VERSION={encoder.version}",
        f"make serve ARGS='--catalogue {plan.catalogue}'",
        "make match TITLE='...' IMAGE=photo.jpg",
    ]


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m client.demo",
        description="Run the whole path: read a data set, train, evaluate, export, start Triton "
        "and the matching service, store the catalogue, match held-out offers. Steps whose inputs "
        "did not change are left out.",
    )
    add = parser.add_argument
    add("--data", default="generated", help="generated, grocery, fashion, or a CSV or Parquet file")
    add("--data-dir", type=Path, help="folder of the data set (grocery, fashion)")
    add("--columns", default="", help="columns of your file, such as title=name,images=photo")
    add("--config", default="", help="preset or YAML file of training (default: by the data)")
    add("--image-weights", type=Path, help="weights of the image encoder for timm")
    add("--repository", type=Path, default=Path("model_repository"), help="where to publish")
    add("--queries", type=int, default=300, help="held-out offers to match at most (default: 300)")
    add("--fresh", action="store_true", help="run every step, changed or not")
    add(
        "--prepare-option",
        action="append",
        default=[],
        metavar="OPTION",
        help="a further option of training.prepare: --prepare-option=--product-count=50",
    )
    add(
        "--train-option",
        action="append",
        default=[],
        metavar="OPTION",
        help="a further option of training.train: --train-option=--loop.epoch_count=2",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
