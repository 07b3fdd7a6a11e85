"""`twinshelf categorise`: the category of an offer, by the vote of the products most alike it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from twinshelf.client.category_records import CategoryOptions
from twinshelf.client.commands import output
from twinshelf.client.commands.offer_options import OfferOptions
from twinshelf.client.commands.option_groups import spread
from twinshelf.client.commands.options import GREATEST_COUNT, Connection, read_probability


@spread
def categorise(
    *,
    offer_options: OfferOptions,
    neighbour_count: Annotated[
        int,
        typer.Option(
            "-k",
            "--neighbour-count",
            metavar="N",
            min=1,
            max=GREATEST_COUNT,
            help="Nearest products that vote.",
        ),
    ] = 10,
    min_margin: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            parser=read_probability,
            help="Give no answer below this margin, 0 to 1, such as `make categories` finds.",
        ),
    ] = 0.0,
    level_count: Annotated[
        int,
        typer.Option(
            "--levels",
            metavar="N",
            min=0,
            max=GREATEST_COUNT,
            help="Levels of the paths to predict (default: whole paths).",
        ),
    ] = 0,
    excluded_product_id: Annotated[
        str,
        typer.Option(
            "--without", metavar="PRODUCT_ID", help="A product without a vote: the offer itself."
        ),
    ] = "",
    connection: Connection,
) -> None:
    """Predict the category of a photo or a text by the products most alike it."""
    offer = offer_options.offer()
    if offer is None:
        raise ValueError("categorise needs a photo or a text: --image FILE, --title TEXT")
    options = CategoryOptions(
        neighbour_count=neighbour_count,
        min_margin=min_margin,
        level_count=level_count,
        excluded_product_id=excluded_product_id,
    )
    with connection.open() as client:
        found = client.predict_category(offer, options)
    if connection.json:
        output.write_json(sys.stdout, asdict(found))
        return
    name = found.category or "no answer"
    sys.stdout.write(f"{output.printable(name)} (ahead by {found.margin:.1%} of the votes)\n")
    if found.votes:
        output.make_console(sys.stdout).print(output.category_votes_table(found))
