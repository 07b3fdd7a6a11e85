"""What readers give, how they read a table, and how rows and labels are checked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from twinshelf.client.files.findings import Findings
from twinshelf.client.files.forms.table import read_cells
from twinshelf.client.files.rows import BadRow, CellRow
from twinshelf.client.files.seen_identifiers import SeenIdentifiers
from twinshelf.client.files.values.cell_values import text_of
from twinshelf.training.catalogues.product import Product
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.settings import PreprocessingError, PreprocessingSettings
from twinshelf.training.preprocessing.texts import join_fields, normalise_text

logger = logging.getLogger(__name__)

Row = Product | BadRow
T = TypeVar("T")
# Small, so that a JPEG is decoded at an eighth of its size; all of its bytes are read all the same.
_CHECK = PreprocessingSettings(image_size_px=8)


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

    train: Sequence[Product]
    queries: Sequence[Product]
    gallery: Sequence[Product]
    bad_rows: tuple[BadRow, ...]
    findings: tuple[str, ...] = ()


def read_rows(
    path: Path, columns: Sequence[str], make: Callable[[CellRow], Product]
) -> Iterator[Row]:
    """Reads a table lazily: a product of each row, or why there is none.

    Args:
        path: CSV or Parquet file.
        columns: Columns that it must have.
        make: Makes the product; a ValueError makes the row a bad one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it lacks a column.
    """
    rows = read_cells(path, columns)
    return (row if isinstance(row, BadRow) else _make(row, make) for row in rows)


def filled_texts(row: CellRow, *filled: str) -> dict[str, str]:
    """Returns the cells of a row as trimmed texts.

    Raises:
        ValueError: If one of the columns `filled` is empty.
    """
    texts = {name: text_of(cell) for name, cell in row.cells.items()}
    if empty := [name for name in filled if not texts[name]]:
        raise ValueError(f"column {empty[0]!r} is empty")
    return texts


def checked(
    rows: Iterable[tuple[int, Row]], source: str, *, findings: Findings | None = None
) -> Iterator[Row]:
    """Checks that each product can be embedded: its photos decode, or it has a text.

    Photos that are missing or broken are left out and counted. A product with neither photo nor
    text becomes a bad row, and so does the second of two with one identifier.

    Args:
        rows: What a reader gives, with the number of each row in its file.
        source: Name of the file or folder, for the reports.
        findings: Counts the photos that are left out, of rows whose identifiers are known to
            differ; None logs their count.

    Yields:
        As many rows as came, in their order.
    """
    seen = SeenIdentifiers()
    counted = Findings() if findings is None else findings
    for row_number, row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        faults = {path: _find_photo_fault(path) for path in row.images}
        for fault in filter(None, faults.values()):
            counted.add("photo", fault)
        images = tuple(path for path in row.images if not faults[path])
        reason = "" if images else _find_text_fault(row)
        if reason:
            reason = "; ".join(filter(None, faults.values())) or reason
        elif findings is None and (earlier := seen.add(row.product_id, f"row {row_number}")):
            reason = f"product_id {row.product_id!r} stands in {earlier} too"
        if reason:
            yield BadRow(source=source, row_number=row_number, reason=reason)
        else:
            yield replace(row, images=images)
    if findings is None:
        for sentence in counted.sentences():
            logger.warning("%s: %s", source, sentence)


def usable_rows(rows: Iterable[T | BadRow], bad_rows: list[BadRow]) -> Iterator[T]:
    """Yields what of the rows can be used, lazily; the others are put into the list."""
    for row in rows:
        if isinstance(row, BadRow):
            bad_rows.append(row)
        else:
            yield row


def separate(rows: Iterable[Row]) -> tuple[tuple[Product, ...], tuple[BadRow, ...]]:
    """Parts products from bad rows."""
    bad_rows: list[BadRow] = []
    products = tuple(usable_rows(rows, bad_rows))
    return products, tuple(bad_rows)


def require_classes(path: Path, column: str) -> None:
    """Checks that a label column holds two classes or more; stops as soon as it does.

    Args:
        path: CSV or Parquet file.
        column: Its column of labels; empty cells do not count.

    Raises:
        ValueError: If all rows are of one class, or none has a label; names file, row and column.
    """
    found, first = "no row has a label", ""
    for row in read_cells(path, [column]):
        if isinstance(row, BadRow) or not (label := text_of(row.cells[column])):
            continue
        if first and label != first:
            return
        if not first:
            first, found = label, f"every label is {label!r}, from row {row.row_number} on"
    raise ValueError(f"{path}, column {column!r}: {found}; expected two classes or more")


def _make(row: CellRow, make: Callable[[CellRow], Product]) -> Row:
    try:
        return make(row)
    except ValueError as error:
        return row.refuse(str(error))


def _find_text_fault(product: Product) -> str:
    fields = {name: getattr(product, name) for name in _CHECK.text_fields}
    # Mostly the title tells, and cleaning a description takes ten times as long.
    tried: Sequence[dict[str, str]] = ({"title": product.title}, fields)
    if any(normalise_text(join_fields(each, _CHECK), _CHECK) for each in tried):
        return ""
    return "nothing to embed: has no photo, and no text in " + ", ".join(_CHECK.text_fields)


def _find_photo_fault(path: Path) -> str | None:
    try:
        decode_image(path.read_bytes(), _CHECK)
    except (FileNotFoundError, NotADirectoryError):
        return f"photo {path} is missing"
    except PreprocessingError as error:
        return f"photo {path}: {error}"
    except (OSError, ValueError):
        return f"photo {path} cannot be read; expected a readable file"
    return None
