"""What readers give, and how their rows are checked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from twinshelf.client.files.findings import Findings
from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import Product
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.settings import PreprocessingError, PreprocessingSettings
from twinshelf.training.preprocessing.texts import join_fields

logger = logging.getLogger(__name__)

Row = Product | BadRow
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
        findings: What else could not be read, though its rows stand: counts, in sentences.
    """

    train: tuple[Product, ...]
    queries: tuple[Product, ...]
    gallery: tuple[Product, ...]
    bad_rows: tuple[BadRow, ...]
    findings: tuple[str, ...] = ()


def checked(
    rows: Iterable[Row],
    settings: PreprocessingSettings,
    *,
    source: str = "products",
    findings: Findings | None = None,
) -> Iterator[Row]:
    """Checks that each product can be embedded: its photos decode, or it has a text.

    Photos that are missing or broken are left out and counted. A product with neither photo nor
    text becomes a bad row, and so does the second of two with one identifier.

    Args:
        rows: What a reader gives.
        settings: Settings of the later preprocessing: its pixel limit and text fields.
        source: Name of the file or folder, for the reports.
        findings: Counts the photos that are left out; None logs their count.

    Yields:
        As many rows as came, in their order.
    """
    small = replace(settings, image_size_px=_CHECKED_SIZE_PX)
    seen: set[str] = set()
    counted = Findings() if findings is None else findings
    for row_number, row in enumerate(rows, start=1):
        if isinstance(row, BadRow):
            yield row
            continue
        faults = {path: _find_photo_fault(path, small) for path in row.images}
        for fault in filter(None, faults.values()):
            counted.add("photo", fault)
        images = tuple(path for path in row.images if not faults[path])
        reason = "" if images else _find_text_fault(row, small)
        if reason:
            reason = "; ".join(filter(None, faults.values())) or reason
        elif row.product_id in seen:
            reason = f"product_id {row.product_id!r} stands in an earlier row already"
        if reason:
            yield BadRow(source=source, row_number=row_number, reason=reason)
            continue
        seen.add(row.product_id)
        yield replace(row, images=images)
    if findings is None:
        for sentence in counted.sentences():
            logger.warning("%s: %s", source, sentence)


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


def _find_text_fault(product: Product, settings: PreprocessingSettings) -> str:
    fields = {name: getattr(product, name) for name in settings.text_fields}
    if join_fields(fields, settings):
        return ""
    return "nothing to embed: has no photo, and no text in " + ", ".join(settings.text_fields)


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
