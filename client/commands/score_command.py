"""`twinshelf score`: whether two records are the same item, and why."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from twinshelf.client.commands import output
from twinshelf.client.commands.offer_options import OfferOptions
from twinshelf.client.commands.option_groups import spread
from twinshelf.client.commands.options import (
    GREATEST_COUNT,
    Connection,
    EncoderOption,
    read_encoder,
)
from twinshelf.client.records import Offer


@spread
def score(
    *,
    product_ids: Annotated[
        list[str],
        typer.Argument(
            metavar="PRODUCT_ID [PRODUCT_ID]",
            help="The product to compare the offer with, or two products.",
        ),
    ],
    offer_options: OfferOptions,
    reason_count: Annotated[
        int,
        typer.Option("--reasons", metavar="N", min=0, max=GREATEST_COUNT, help="Reasons at most."),
    ] = 5,
    encoder: EncoderOption = "",
    connection: Connection,
) -> None:
    """Say whether an offer and a product, or two products, are the same item, and why."""
    offer = offer_options.offer()
    sides: list[Offer | str] = [*([] if offer is None else [offer]), *product_ids]
    if len(sides) != 2:
        raise ValueError(
            "score needs two records: an offer (--image FILE, --title TEXT) and a PRODUCT_ID, or "
            f"two of these; got {len(sides)}"
        )
    with connection.open() as client:
        found = client.score_pair(
            sides[0], sides[1], reason_count=reason_count, encoder=read_encoder(encoder)
        )
    if connection.json:
        output.write_json(sys.stdout, asdict(found))
        return
    sys.stdout.write(output.pair_verdict(found) + "\n")
    if found.reasons:
        output.make_console(sys.stdout).print(output.reasons_table(found))
