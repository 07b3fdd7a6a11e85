"""What readers give, how they read a table, and how rows and labels are checked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

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


def checked(rows: Iterable[Row], source: str, *, findings: Findings | None = None) -> Iterator[Row]:
    """Checks that each product can be embedded: its photos decode, or it has a text.

    Photos that are missing or broken are left out and counted. A product with neither photo nor
    text becomes a bad row, and so does the second of two with one identifier.

    Args:
        rows: What a reader gives.
        source: Name of the file or folder, for the reports.
        findings: Counts the photos that are left out; None logs their count.

    Yields:
        As many rows as came, in their order.
    """
    seen = SeenIdentifiers()
    counted = Findings() if findings is None else findings
    for row_number, row in enumerate(rows, start=1):
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
        elif earlier := seen.add(row.product_id, f"row {row_number}"):
            reason = f"product_id {row.product_id!r} stands in {earlier} too"
        if reason:
            yield BadRow(source=source, row_number=row_number, reason=reason)
        else:
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


def require_classes(path: Path, column: str, *, shared: bool = False) -> None:
    """Checks that a label column holds two classes or more; stops as soon as it does.

    Args:
        path: CSV or Parquet file.
        column: Its column of labels; empty cells do not count.
        shared: Whether some class must have two rows as well, or there is nothing to match.

    Raises:
        ValueError: If all rows are of one class, none has a label, or each class has one row and
            `shared` is asked for; names file, row and column.
    """
    first_rows: dict[str, int] = {}
    is_shared = not shared
    for row in read_cells(path, [column]):
        if isinstance(row, BadRow) or not (label := text_of(row.cells[column])):
            continue
        is_shared |= label in first_rows
        first_rows.setdefault(label, row.row_number)
        if is_shared and len(first_rows) > 1:
            return
    if not first_rows:
        raise ValueError(f"{path}, column {column!r}: no row has a label")
    label, row_number = next(iter(first_rows.items()))
    if len(first_rows) == 1:
        found = f"every label is {label!r}, from row {row_number} on; expected two classes or more"
    else:
        found = (
            f"each of the {len(first_rows)} groups has one item, the first is {label!r} of row "
            f"{row_number}; expected some with two or more"
        )
    raise ValueError(f"{path}, column {column!r}: {found}")


def _make(row: CellRow, make: Callable[[CellRow], Product]) -> Row:
    try:
        return make(row)
    except ValueError as error:
        return row.refuse(str(error))


def _find_text_fault(product: Product) -> str:
    fields = {name: getattr(product, name) for name in _CHECK.text_fields}
    if normalise_text(join_fields(fields, _CHECK), _CHECK):
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
