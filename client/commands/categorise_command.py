"""`twinshelf categorise`: categories by the vote of the products most alike, for one or all."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from twinshelf.client.category_records import CategoryOptions
from twinshelf.client.commands import output
from twinshelf.client.commands.offer_options import OfferOptions
from twinshelf.client.commands.option_groups import spread
from twinshelf.client.commands.options import (
    FAILED,
    GREATEST_COUNT,
    Connection,
    read_path,
    read_probability,
    read_sequence,
)
from twinshelf.client.files.findings import count_of


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteOptions:
    """Who votes for a category, and when there is an answer."""

    neighbour_count: Annotated[
        int | None,
        typer.Option(
            "-k",
            "--neighbour-count",
            metavar="N",
            min=1,
            max=GREATEST_COUNT,
            help="Nearest products that vote (default: as calibrated, or 10).",
        ),
    ] = None
    min_margin: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            parser=read_probability,
            help="Give no answer below this margin, 0 to 1.",
        ),
    ] = 0.0
    target_precision: Annotated[
        float,
        typer.Option(
            metavar="P",
            parser=read_probability,
            help="Answer only what is right so often, above 0 and below 1 (default: answer all).",
        ),
    ] = 0.0
    level_count: Annotated[
        int,
        typer.Option(
            "--levels",
            metavar="N",
            min=0,
            max=GREATEST_COUNT,
            help="Levels of the paths to predict (default: whole paths).",
        ),
    ] = 0
    excluded_product_id: Annotated[
        str,
        typer.Option(
            "--without", metavar="PRODUCT_ID", help="A product without a vote: the offer itself."
        ),
    ] = ""

    def read(self) -> CategoryOptions:
        """Returns them as the client takes them."""
        return CategoryOptions(
            neighbour_count=self.neighbour_count,
            min_margin=self.min_margin,
            level_count=self.level_count,
            excluded_product_id=self.excluded_product_id,
            target_precision=self.target_precision,
        )


@spread
def categorise(
    *,
    offer_options: OfferOptions,
    vote_options: VoteOptions,
    output_table: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="TABLE",
            parser=read_path,
            help="Predict for the products of the catalogue, by their stored vectors, into this "
            "table, .csv or .parquet. A run that was stopped goes on where it was.",
        ),
    ] = None,
    from_sequence: Annotated[
        int | None,
        typer.Option(
            "--from",
            metavar="SEQUENCE",
            parser=read_sequence,
            help="With --output: only for products written after this change, such as the one "
            "that the last run names.",
        ),
    ] = None,
    connection: Connection,
) -> None:
    """Predict the category of a photo or a text, or of all products, by the ones most alike."""
    offer = offer_options.offer()
    if (offer is None) == (output_table is None):
        raise ValueError(
            "categorise needs a photo or a text: --image FILE, --title TEXT; or --output TABLE, "
            "for the products of the catalogue"
        )
    if from_sequence is not None and output_table is None:
        raise ValueError("--from is for the products of the catalogue: --output TABLE")
    options = vote_options.read()
    if output_table is not None:
        _categorise_catalogue(connection, output_table, options, from_sequence)
        return
    assert offer is not None
    with connection.open() as client:
        found = client.predict_category(offer, options)
    if connection.json:
        output.write_json(sys.stdout, asdict(found))
        return
    name = found.category or "no answer"
    sure = "not calibrated" if found.probability is None else f"probability {found.probability:.2f}"
    told = f"{sure}, ahead by {found.margin:.1%} of the votes" if found.votes else "nobody voted"
    sys.stdout.write(f"{output.printable(name)} ({told})\n")
    if found.votes:
        output.make_console(sys.stdout).print(output.category_votes_table(found))


def _categorise_catalogue(
    connection: Connection, table: Path, options: CategoryOptions, from_sequence: int | None
) -> None:
    from twinshelf.client.commands.categorise_catalogue import categorise_catalogue

    with connection.open_for_files() as client:
        console = output.make_console(sys.stderr)
        report = categorise_catalogue(client, table, options, from_sequence, console)
    if connection.json:
        output.write_json(sys.stdout, asdict(report))
    else:
        sys.stdout.write(
            f"{count_of(report.predicted_count, 'product')} with an answer, "
            f"{report.differing_count:,} of them with another category than their own; "
            f"{report.abstained_count:,} without; {report.failed_count:,} failed\n"
            f"what changes from now on: --from {report.change_sequence}\n"
        )
    if report.failed_count:
        raise typer.Exit(FAILED)
