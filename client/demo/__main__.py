"""Makes a service hold a gallery alone, matches held-out offers to it, and shows the answers.

`make demo` runs it once the encoder is trained and served:
python -m twinshelf.client.demo --run runs/generated --data .cache/data/generated
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from twinshelf.client.channel import DEFAULT_ADDRESS
from twinshelf.client.commands.options import ADDRESS_VARIABLE, FAILED, INTERRUPTED
from twinshelf.client.commands.plain_help import run_command
from twinshelf.client.demo.contact_page import write_page
from twinshelf.client.demo.contact_sheet import write_sheet
from twinshelf.client.demo.gallery import store_gallery
from twinshelf.client.demo.held_out import (
    PATTERNS,
    DemoError,
    MatchedOffer,
    match_held_out,
    read_held_out,
)
from twinshelf.client.demo.report import matches_table, metrics_table, recall_table, sheet_title
from twinshelf.client.errors import TwinshelfError
from twinshelf.client.sync_client import Client

OFFERS_PRINTED = 12
OFFERS_ON_SHEET = 10
OFFERS_ON_PAGE = 30
SAMPLE_SEED = 42


def demonstrate(
    run: Annotated[Path, typer.Option(help="Folder of the run, with its evaluation.json.")],
    data: Annotated[Path, typer.Option(help="Folder of gallery.parquet and queries.parquet.")],
    address: Annotated[
        str, typer.Option(envvar=ADDRESS_VARIABLE, help="host:port of the service.")
    ] = DEFAULT_ADDRESS,
    version: Annotated[str, typer.Option(help="What is served, for the closing words.")] = "",
    queries: Annotated[int, typer.Option(min=1, help="Held-out offers to match at most.")] = 300,
    started_at: Annotated[
        float | None, typer.Option(help="When the path began, Unix seconds; default: now.")
    ] = None,
) -> None:
    """Matches held-out offers to a gallery by a running service; draws a sheet into the run.

    The service then holds the products of the gallery alone: ALL OTHERS ARE REMOVED from it.
    """
    started_at = started_at or time.time()
    # Tables in a log are as wide as they need to be read.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        held_out = read_held_out(data, query_count=queries, seed=SAMPLE_SEED)
        with Client(address) as client:
            with _timed("index", console) as facts:
                facts.append(store_gallery(client, data / "gallery.parquet"))
            with _timed("match", console):
                matched = {name: match_held_out(client, held_out, name) for name in PATTERNS}
        console.print()
        console.print(metrics_table(run / "evaluation.json"))
        _show(run, matched, console)
    except (ValueError, DemoError, TwinshelfError, OSError) as error:
        console.print(f"[red]✗[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    console.print(f"\nDone in {time.time() - started_at:.0f} s. To go on by hand:")
    shown = f" VERSION={version}" if version else ""
    console.print(f"  make up{shown} ARGS='--catalogue {run / 'catalogue'}'")
    console.print("    then the page is at http://127.0.0.1:8080/")
    console.print("  make match TITLE='...' IMAGE=photo.jpg")


def _show(run: Path, matched: Mapping[str, Sequence[MatchedOffer]], console: Console) -> None:
    shown = matched["both"] or matched["image"] or matched["text"]
    console.print()
    console.print(matches_table(shown[:OFFERS_PRINTED]))
    console.print()
    console.print(recall_table(matched))
    sheet, page = run / "matches.png", run / "matches.html"
    title, subtitle = sheet_title(run.name, matched)
    write_sheet(sheet, shown[:OFFERS_ON_SHEET], title=title, subtitle=subtitle)
    write_page(page, shown[:OFFERS_ON_PAGE], title=title, subtitle=subtitle)
    console.print(f"\nContact sheet: {sheet} and {page}", soft_wrap=True)


@contextmanager
def _timed(name: str, console: Console) -> Iterator[list[str]]:
    """Shows that something runs, and its line with the facts that were found when it went well."""
    started_s, facts = time.monotonic(), list[str]()
    with console.status(f"{name} …"):
        yield facts
    what = ", ".join([f"{time.monotonic() - started_s:.1f} s", *facts])
    console.print(f"[green]✓[/] {name:<9} [dim]{escape(what)}[/]")


if __name__ == "__main__":
    run_command(demonstrate)
