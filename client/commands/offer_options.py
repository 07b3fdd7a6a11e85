"""The options of `twinshelf` that make an offer, written once for all commands that take one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from twinshelf.client.commands.options import read_path, read_positive_or_zero
from twinshelf.client.records import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A property of an offer.

    Attributes:
        name: Such as colour.
        value: Such as red.
    """

    name: str
    value: str


def read_attribute(text: str) -> Attribute:
    """Reads a property such as "colour=red".

    Raises:
        typer.BadParameter: If the text is none.
    """
    name, equals, value = (piece.strip() for piece in text.partition("="))
    if not (name and equals and value):
        raise typer.BadParameter(f"must look like colour=red, got {text!r}")
    return Attribute(name=name, value=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferOptions:
    """An offer: a photo, a text, or both."""

    image: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=read_path, help="Photo: JPEG, PNG or WebP."),
    ] = None
    title: Annotated[str, typer.Option(metavar="TEXT")] = ""
    description: Annotated[str, typer.Option(metavar="TEXT")] = ""
    category: Annotated[str, typer.Option(metavar="TEXT")] = ""
    brand: Annotated[str, typer.Option(metavar="TEXT")] = ""
    price: Annotated[
        float | None,
        typer.Option(
            metavar="PRICE",
            parser=read_positive_or_zero,
            help="In the catalogue's currency; read by the pair scorer alone.",
        ),
    ] = None
    attribute: Annotated[
        list[Attribute] | None,
        typer.Option(metavar="NAME=VALUE", parser=read_attribute, help="May be given repeatedly."),
    ] = None

    def offer(self) -> Offer | None:
        """Returns the offer, its photo read now; None when nothing of it was given.

        Raises:
            PhotoError: If the photo cannot be read.
        """
        from twinshelf.client.files.values.photos import read_photo

        offer = Offer(
            image=read_photo(self.image) if self.image else b"",
            title=self.title,
            description=self.description,
            category=self.category,
            brand=self.brand,
            price=self.price,
            attributes={each.name: each.value for each in self.attribute or ()},
        )
        return None if offer == Offer(price=self.price) else offer
