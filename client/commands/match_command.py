"""`twinshelf match`: the products that an offer shows, or a table of them for files of offers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from twinshelf.client.commands import output
from twinshelf.client.commands.match_options import MatchCommandOptions
from twinshelf.client.commands.offer_options import OfferOptions
from twinshelf.client.commands.option_groups import spread
from twinshelf.client.commands.options import (
    FAILED,
    FILES_HELP,
    Connection,
    FileOptions,
    read_path,
)
from twinshelf.client.records import MatchOptions


@spread
def match(
    *,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", parser=read_path, help=FILES_HELP)
    ] = None,
    file_options: FileOptions,
    output_table: Annotated[
        Path,
        typer.Option(
            "--output", metavar="TABLE", help="Table of the matches of FILE, .csv or .parquet."
        ),
    ] = Path("matches.csv"),
    offer_options: OfferOptions,
    how: MatchCommandOptions,
    connection: Connection,
) -> None:
    """Find the products that a photo, a text, or the offers of files show."""
    options = how.match_options()
    if files and offer_options != OfferOptions():
        raise ValueError("match takes files of offers or one offer by its options, not both")
    if files:
        _match_files(connection, files, file_options, options, output_table)
        return
    offer = offer_options.offer()
    if offer is None:
        raise ValueError(
            "match needs a file of offers, or a photo or a text: FILE, --image FILE, --title TEXT"
        )
    if how.exclude_own:
        raise ValueError(
            "--exclude-own is for FILE: an offer by options has neither an id nor a seller; "
            "--filter 'seller!=NAME' leaves a seller out"
        )
    with connection.open() as client:
        result = client.match(offer, options)
    if connection.json:
        output.write_json(sys.stdout, output.match_result_json(result))
    elif result.matches:
        output.make_console(sys.stdout).print(output.match_table(result))
    elif result.filter_plan and not result.filter_plan.allowed_count:
        sys.stdout.write(
            "no product matches: the filter allows 0 products (values are compared as spelled)\n"
        )
    else:
        sys.stdout.write("no product matches\n")


def _match_files(
    connection: Connection,
    files: Sequence[Path],
    file_options: FileOptions,
    options: MatchOptions,
    table: Path,
) -> None:
    from twinshelf.client.commands.file_commands import run_match_files

    with connection.open_for_files() as client:
        has_all = run_match_files(
            client, files, file_options, options, table, sys.stdout, as_json=connection.json
        )
    if not has_all:
        raise typer.Exit(FAILED)
