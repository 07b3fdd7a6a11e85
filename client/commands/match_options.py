"""The options of `twinshelf match` that say how to match."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from twinshelf.client.commands.options import (
    GREATEST_COUNT,
    EncoderOption,
    read_encoder,
    read_probability,
)
from twinshelf.client.filters import EXAMPLES, AllOf, read_condition, read_value_limit
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchCommandOptions:
    """How to match, as it stands on the command line."""

    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="CONDITION",
            help=f"Which products may match: {EXAMPLES}. Given repeatedly, all must hold.",
        ),
    ] = None
    exclude_own: Annotated[
        list[Own] | None,
        typer.Option(
            metavar="product|seller",
            help="Leave out the product of the offer's own id, or all of its own seller (FILE).",
        ),
    ] = None
    value_limit: Annotated[
        str,
        typer.Option(
            "--at-most",
            metavar="FIELD=N",
            help="At most N matches that share a value: seller=2, attributes.group=1.",
        ),
    ] = ""
    match_count: Annotated[
        int,
        typer.Option("-k", "--match-count", metavar="N", min=1, max=GREATEST_COUNT),
    ] = 5
    weights: Annotated[
        ModalityWeights | None,
        typer.Option(
            metavar="image=.7,text=.3",
            parser=read_weights,
            help="How much photo and text count (default: as fitted in training).",
        ),
    ] = None
    min_probability: Annotated[
        float,
        typer.Option(
            metavar="P",
            parser=read_probability,
            help="Only matches of at least this probability, 0 to 1.",
        ),
    ] = 0.0
    match_prior: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            parser=read_probability,
            help="Share of such offers that have a match in the catalogue, above 0 to 1 "
            "(default: as calibrated).",
        ),
    ] = None
    target_precision: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            parser=read_probability,
            help="Share of the matches marked ✓ that are to be right (default: 0.95).",
        ),
    ] = None
    pair_count: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=GREATEST_COUNT,
            help="Best matches that the pair scorer scores and puts into order.",
        ),
    ] = 0

    encoder: EncoderOption = ""

    def match_options(self) -> MatchOptions:
        """Returns them as the client takes them.

        Raises:
            ValueError: If a filter or a limit cannot be read.
        """
        encoder = read_encoder(self.encoder)
        return MatchOptions(
            match_count=self.match_count,
            weights=self.weights,
            min_probability=self.min_probability,
            match_prior=self.match_prior,
            target_precision=self.target_precision,
            encoder_digest=encoder if isinstance(encoder, str) else "",
            encoder_version=encoder if isinstance(encoder, int) else 0,
            pair_count=self.pair_count,
            filter=AllOf(filters=tuple(map(read_condition, self.filters)))
            if self.filters
            else None,
            excludes_own_product=Own.PRODUCT in (self.exclude_own or ()),
            excludes_own_seller=Own.SELLER in (self.exclude_own or ()),
            value_limit=read_value_limit(self.value_limit) if self.value_limit else None,
        )
