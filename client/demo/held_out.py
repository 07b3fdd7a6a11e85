"""Held-out offers, matched through the service by photo, by text and by both."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from twinshelf.client.file_products import offer_of
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import PREPARED_OPTIONS, ProductFiles
from twinshelf.client.files.values.photos import PhotoError
from twinshelf.client.records import Match, MatchOptions, Offer
from twinshelf.client.sync_client import Client

# Offers whose product is not in the catalogue are left out: each of the others has a match.
MATCH_COUNT = 5
OPTIONS = MatchOptions(match_count=MATCH_COUNT, match_prior=1)
PATTERNS = ("image", "text", "both")


class DemoError(Exception):
    """The demonstration cannot go on; the message says why, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedOffer:
    """An offer and what the service answered.

    Attributes:
        offer: The row of the offer; its group is the truth.
        matches: Best first, at most five.
        photos: Photo of each match's product, in the same order; None where it has none.
        is_right: Whether each match is of the offer's group, in the same order.
    """

    offer: ProductRow
    matches: tuple[Match, ...]
    photos: tuple[Path | None, ...]
    is_right: tuple[bool, ...]

    @property
    def found(self) -> bool:
        """Whether the best match is right."""
        return bool(self.is_right and self.is_right[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What is needed to match and to judge.

    Attributes:
        offers: The sample.
        gallery: Every product of the catalogue by its id.
    """

    offers: tuple[ProductRow, ...]
    gallery: Mapping[str, ProductRow]


def read_held_out(prepared: Path, *, query_count: int, seed: int) -> HeldOut:
    """Reads the catalogue and a sample of the held-out offers that it has an answer to.

    Args:
        prepared: Folder of the prepared data.
        query_count: Size of the sample at most.
        seed: Chooses the sample.

    Raises:
        DemoError: If no offer can be matched.
    """
    gallery = {row.product_id: row for row in _rows(prepared / "gallery.parquet")}
    groups = {row.group for row in gallery.values()}
    offers = [
        row for row in _rows(prepared / "queries.parquet") if row.group and row.group in groups
    ]
    if not offers:
        raise DemoError(
            f"{prepared / 'queries.parquet'} has no offer of a product of the catalogue: the data "
            "needs a column group in which rows of the same product have the same value"
        )
    sample = random.Random(seed).sample(offers, min(query_count, len(offers)))
    return HeldOut(offers=tuple(sample), gallery=gallery)


def match_held_out(client: Client, held_out: HeldOut, pattern: str) -> tuple[MatchedOffer, ...]:
    """Matches the offers that have what a pattern needs.

    Args:
        client: Of the service that holds the gallery.
        held_out: What to match.
        pattern: "image" or "text", which hide the other modality, or "both".

    Returns:
        In the order of the sample; offers that lack a modality of the pattern are left out.

    Raises:
        DemoError: If the service refuses an offer.
        TwinshelfError: If the service fails as a whole.
    """
    rows = [row for row in held_out.offers if _has(row, pattern)]
    offers = (make_offer(row, pattern) for row in rows)
    matched: dict[int, MatchedOffer] = {}
    for answer in client.match_many(offers, OPTIONS, timeout_s=30):
        row = rows[answer.offer_index]
        if answer.result is None:
            raise DemoError(f"the offer of row {row.row_number} was refused: {answer.error}")
        matches = answer.result.matches
        products = [held_out.gallery[match.product.product_id] for match in matches]
        matched[answer.offer_index] = MatchedOffer(
            offer=row,
            matches=matches,
            photos=tuple(photo_path(product) for product in products),
            is_right=tuple(product.group == row.group for product in products),
        )
    return tuple(matched[index] for index in sorted(matched))


def make_offer(row: ProductRow, pattern: str) -> Offer:
    """Makes an offer of a row, hiding what the pattern does not have.

    Args:
        row: Its photo is read now.
        pattern: "image", "text" or "both".

    Raises:
        DemoError: If the photo cannot be read.
    """
    try:
        offer = offer_of(row)
    except PhotoError as error:
        raise DemoError(f"a held-out photo cannot be read: {error}") from error
    if pattern == "image":
        return Offer(image=offer.image)
    return replace(offer, image=b"") if pattern == "text" else offer


def photo_path(row: ProductRow) -> Path | None:
    """Returns the file of a row's main photo; None when it has none."""
    return row.main_photo.path if row.main_photo is not None else None


def recall_at_1(matched: Sequence[MatchedOffer]) -> float:
    """Returns the share of offers whose best match is right; NaN for none."""
    if not matched:
        return float("nan")
    return sum(each.found for each in matched) / len(matched)


def mean_probability(matched: Sequence[MatchedOffer]) -> float:
    """Returns the mean probability of the best matches; NaN for none."""
    if not matched:
        return float("nan")
    return sum(each.matches[0].probability for each in matched if each.matches) / len(matched)


def _has(row: ProductRow, pattern: str) -> bool:
    has_text = bool(row.title or row.description)
    has_photo = row.main_photo is not None
    return {"image": has_photo, "text": has_text}.get(pattern, has_photo and has_text)


def _rows(table: Path) -> Iterator[ProductRow]:
    rows = ProductFiles([table], PREPARED_OPTIONS).rows()
    return (row for row in rows if isinstance(row, ProductRow))
