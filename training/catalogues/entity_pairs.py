"""Reader of entity-matching pairs in Ditto's form.

One pair a line: `COL name VAL ... COL price VAL ...<TAB>COL ...<TAB>0|1`. Source of the form:
Li et al., Deep Entity Matching with Pre-Trained Language Models (VLDB 2021). The Abt-Buy,
Amazon-Google and WDC files are distributed under Apache-2.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import Pair, Product

_COLUMN = re.compile(r"COL (\S+) VAL ?(.*?)(?=(?:^|\s)COL \S+ VAL|$)", re.DOTALL)
_FIELD_OF_COLUMN = {
    "name": "title",
    "title": "title",
    "description": "description",
    "brand": "brand",
    "manufacturer": "brand",
    "category": "category",
}


def read_entity_pairs(path: Path) -> Iterator[Pair[Product] | BadRow]:
    """Reads the pairs of a file lazily; a line that is no pair comes back as a BadRow.

    Raises:
        FileNotFoundError: If the file does not exist.
    """
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        for row_number, line in enumerate(lines, start=1):
            try:
                yield _parse_pair(line.rstrip("\n"), f"{path.stem}-{row_number}")
            except ValueError as error:
                yield BadRow(source=str(path), row_number=row_number, reason=str(error))


def _parse_pair(line: str, pair_id: str) -> Pair[Product]:
    if any("\udc80" <= character <= "\udcff" for character in line):  # bytes that did not decode
        raise ValueError("is not UTF-8")
    parts = line.split("\t")
    if len(parts) != 3:
        raise ValueError(f"expected left, right and label between tabs, got {len(parts)} parts")
    left, right, label = parts
    if label.strip() not in {"0", "1"}:
        raise ValueError(f"label must be 0 or 1, got {label!r}")
    return Pair(
        left=_parse_record(left, f"{pair_id}-left"),
        right=_parse_record(right, f"{pair_id}-right"),
        is_match=label.strip() == "1",
    )


def _parse_record(text: str, product_id: str) -> Product:
    columns = {name.lower(): value.strip() for name, value in _COLUMN.findall(text)}
    if not columns:
        raise ValueError(f"expected 'COL name VAL value ...', got {text[:40]!r}")
    fields: dict[str, str] = {}
    attributes: dict[str, str] = {}
    for name, value in columns.items():
        if name in _FIELD_OF_COLUMN:
            fields[_FIELD_OF_COLUMN[name]] = value
        elif name != "price" and value:
            attributes[name] = value
    return Product(
        product_id=product_id,
        price=_parse_price(columns.get("price", "")),
        attributes=attributes,
        **fields,  # type: ignore[arg-type]
    )


def _parse_price(text: str) -> float | None:
    """Returns the price, None when the cell holds no number: the data sets leave many empty."""
    digits = re.sub(r"[^0-9.]", "", text)
    try:
        return float(digits)
    except ValueError:
        return None
