"""What readers give, how their rows are checked, and how they are split for matching."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from training.preprocessing.images import decode_image
from training.preprocessing.settings import PreprocessingError, PreprocessingSettings
from training.preprocessing.texts import join_fields
from training.product import BadRow, Product

Row = Product | BadRow
HELD_OUT_SHARE = 0.2
# Small, so that a JPEG is decoded at an eighth of its size; all of its bytes are read all the same.
_CHECKED_SIZE_PX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingData:
    """A data set made ready for learning to match.

    Attributes:
        train: Offers and products learnt from.
        queries: Held-out offers.
        gallery: Catalogue products that are searched; a query's product has the query's group.
        bad_rows: Rows that were left out.
    """

    train: tuple[Product, ...]
    queries: tuple[Product, ...]
    gallery: tuple[Product, ...]
    bad_rows: tuple[BadRow, ...]


def checked(
    rows: Iterable[Row], settings: PreprocessingSettings, *, source: str = "products"
) -> Iterator[Row]:
    """Checks that each product can be embedded: its photos decode, or it has a text.

    A product with any missing or broken photo becomes a bad row, and so does one with neither photo
    nor text, and the second of two with one identifier.

    Args:
        rows: What a reader gives.
        settings: Settings of the later preprocessing: its pixel limit and text fields.
        source: Name of the file or folder, for the reports.

    Yields:
        As many rows as came, in their order.
    """
    small = replace(settings, image_size_px=_CHECKED_SIZE_PX)
    seen: set[str] = set()
    for row_number, row in enumerate(rows, start=1):
        if isinstance(row, BadRow):
            yield row
            continue
        reason = _find_fault(row, small)
        if reason is None and row.product_id in seen:
            reason = f"product_id {row.product_id!r} stands in an earlier row already"
        if reason is not None:
            yield BadRow(source=source, row_number=row_number, reason=reason)
            continue
        seen.add(row.product_id)
        yield row


def separate(rows: Iterable[Row]) -> tuple[tuple[Product, ...], tuple[BadRow, ...]]:
    """Parts products from bad rows."""
    products: list[Product] = []
    bad_rows: list[BadRow] = []
    for row in rows:
        if isinstance(row, Product):
            products.append(row)
        else:
            bad_rows.append(row)
    return tuple(products), tuple(bad_rows)


def split_by_group(rows: Iterable[Row], seed: int) -> MatchingData:
    """Splits rows 80/20 by product group; a group never stands on both sides.

    The first row of each group becomes its catalogue product, of all groups: those that no query
    looks for are there to be confused with. The other rows of the held-out groups become queries.
    Training takes all rows of the other groups. Groups of one row give no query; they are split
    separately, so that the share of queries does not depend on them. A row without a group is a
    group of its own.

    Args:
        rows: What a reader gives. The split depends on the groups' names, not on their order.
        seed: Seed of the choice of groups.
    """
    products, bad_rows = separate(rows)
    groups: dict[str, list[Product]] = defaultdict(list)
    for product in products:
        group = product.group or f"product:{product.product_id}"
        groups[group].append(replace(product, group=group))
    generator = random.Random(seed)
    several = sorted(group for group, members in groups.items() if len(members) > 1)
    single = sorted(group for group, members in groups.items() if len(members) == 1)
    held_out = {*draw_held_out(several, generator), *draw_held_out(single, generator)}
    return MatchingData(
        train=_gather(members for group, members in groups.items() if group not in held_out),
        queries=_gather(groups[group][1:] for group in groups if group in held_out),
        gallery=tuple(members[0] for members in groups.values()),
        bad_rows=bad_rows,
    )


def draw_held_out(groups: list[str], generator: random.Random) -> list[str]:
    """Draws the held-out share of groups, one at least; none of fewer than two."""
    if len(groups) < 2:  # nothing to learn from would be left
        return []
    return generator.sample(groups, max(1, round(HELD_OUT_SHARE * len(groups))))


def _gather(groups: Iterable[list[Product]]) -> tuple[Product, ...]:
    return tuple(product for members in groups for product in members)


def _find_fault(product: Product, settings: PreprocessingSettings) -> str | None:
    if not product.images:
        fields = {name: getattr(product, name) for name in settings.text_fields}
        if not join_fields(fields, settings):
            return "nothing to embed: has no photo, and no text in " + ", ".join(
                settings.text_fields
            )
    for path in product.images:
        if (reason := _find_photo_fault(path, settings)) is not None:
            return reason
    return None


def _find_photo_fault(path: Path, settings: PreprocessingSettings) -> str | None:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return f"photo {path} is missing"
    except (OSError, ValueError):
        return f"photo {path} cannot be read; expected a readable file"
    try:
        decode_image(data, settings)
    except PreprocessingError as error:
        return f"photo {path}: {error}"
    return None
