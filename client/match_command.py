"""`twinshelf match`: the products that an offer shows, or a table of them for files of offers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from twinshelf.client import output
from twinshelf.client.filters import EXAMPLES, AllOf, read_condition, read_value_limit
from twinshelf.client.offer_options import OfferOptions
from twinshelf.client.option_groups import spread
from twinshelf.client.options import (
    FAILED,
    FILES_HELP,
    GREATEST_COUNT,
    Connection,
    FileOptions,
    read_probability,
)
from twinshelf.client.records import MatchOptions, ModalityWeights


def read_weights(text: str) -> ModalityWeights:
    """Reads weights such as "image=.7,text=.3"; one that is left out is zero.

    Args:
        text: What the user typed.

    Raises:
        typer.BadParameter: If the text is no such pair.
    """
    weights: dict[str, float] = {}
    try:
        for part in text.split(","):
            name, _, value = part.partition("=")
            if name.strip() not in ("image", "text") or name.strip() in weights:
                raise ValueError(f"weights must look like image=.7,text=.3, got {text!r}")
            weights[name.strip()] = float(value)
        return ModalityWeights(**weights)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


class Own(StrEnum):
    """What of an offer itself is left out of its matches."""

    PRODUCT = "product"
    SELLER = "seller"


@spread
def match(
    *,
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help=FILES_HELP)] = None,
    file_options: FileOptions,
    output_table: Annotated[
        Path,
        typer.Option(
            "--output", metavar="TABLE", help="Table of the matches of FILE, .csv or .parquet."
        ),
    ] = Path("matches.csv"),
    offer_options: OfferOptions,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="CONDITION",
            help=f"Which products may match: {EXAMPLES}. Given repeatedly, all must hold.",
        ),
    ] = None,
    exclude_own: Annotated[
        list[Own] | None,
        typer.Option(
            metavar="product|seller",
            help="Leave out the product of the offer's own id, or all of its own seller (FILE).",
        ),
    ] = None,
    value_limit: Annotated[
        str,
        typer.Option(
            "--at-most",
            metavar="FIELD=N",
            help="At most N matches that share a value: seller=2, attributes.group=1.",
        ),
    ] = "",
    match_count: Annotated[
        int,
        typer.Option("-k", "--match-count", metavar="N", min=1, max=GREATEST_COUNT),
    ] = 5,
    weights: Annotated[
        ModalityWeights | None,
        typer.Option(
            metavar="image=.7,text=.3",
            parser=read_weights,
            help="How much photo and text count (default: as fitted in training).",
        ),
    ] = None,
    min_probability: Annotated[
        float,
        typer.Option(
            metavar="P",
            parser=read_probability,
            help="Only matches of at least this probability, 0 to 1.",
        ),
    ] = 0.0,
    match_prior: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            parser=read_probability,
            help="Share of such offers that have a match in the catalogue, above 0 to 1 "
            "(default: as calibrated).",
        ),
    ] = None,
    target_precision: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            parser=read_probability,
            help="Share of the matches marked ✓ that are to be right (default: 0.95).",
        ),
    ] = None,
    pair_count: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=GREATEST_COUNT,
            help="Best matches that the pair scorer scores as well.",
        ),
    ] = 0,
    connection: Connection,
) -> None:
    """Find the products that a photo, a text, or the offers of files show."""
    options = MatchOptions(
        match_count=match_count,
        weights=weights,
        min_probability=min_probability,
        match_prior=match_prior,
        target_precision=target_precision,
        pair_count=pair_count,
        filter=AllOf(filters=tuple(map(read_condition, filters))) if filters else None,
        excludes_own_product=Own.PRODUCT in (exclude_own or ()),
        excludes_own_seller=Own.SELLER in (exclude_own or ()),
        value_limit=read_value_limit(value_limit) if value_limit else None,
    )
    if files:
        _match_files(connection, files, file_options, options, output_table)
        return
    offer = offer_options.offer()
    if offer is None:
        raise ValueError(
            "match needs a file of offers, or a photo or a text: FILE, --image FILE, --title TEXT"
        )
    with connection.open() as client:
        result = client.match(offer, options)
    if connection.json:
        output.write_json(sys.stdout, output.match_result_json(result))
    elif result.matches:
        output.make_console(sys.stdout).print(output.match_table(result))
    else:
        sys.stdout.write("no product matches\n")


def _match_files(
    connection: Connection,
    files: Sequence[Path],
    file_options: FileOptions,
    options: MatchOptions,
    table: Path,
) -> None:
    from twinshelf.client.file_commands import run_match_files

    with connection.open() as client:
        has_all = run_match_files(
            client, files, file_options, options, table, sys.stdout, as_json=connection.json
        )
    if not has_all:
        raise typer.Exit(FAILED)
