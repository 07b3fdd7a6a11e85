"""The project's own table of products, as CSV or Parquet.

Columns: `product_id,title,description,category,brand,seller,price,attributes,images,group`. Only
`product_id` is required, and one of `title` and `images`. `attributes` is a JSON object, `images` a
JSON list or paths separated by ";", relative to the file's folder or absolute. Empty cells are
absent values. CSV is UTF-8 with commas and a header; Parquet may hold lists and maps as well.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from training.catalogues.cell_values import paths_of, price_of, scalar_attributes_of, text_of
from training.catalogues.cells import (
    CSV_SUFFIXES,
    PARQUET_SUFFIXES,
    CellRow,
    read_cells,
    read_columns,
    require_columns,
)
from training.catalogues.reading import Row
from training.product import BadRow, Product
from training.whole_file import written_whole

COLUMNS = (
    "product_id",
    "title",
    "description",
    "category",
    "brand",
    "seller",
    "price",
    "attributes",
    "images",
    "group",
)
_TEXT_COLUMNS = ("title", "description", "category", "brand", "seller", "group")
_WRITTEN_AT_ONCE = 1024
_SCHEMA = pa.schema([(name, pa.float64() if name == "price" else pa.string()) for name in COLUMNS])


def read_table(path: Path, columns: Mapping[str, str] | None = None) -> Iterator[Row]:
    """Reads products from a table, lazily.

    Args:
        path: CSV or Parquet file.
        columns: Names of the file's columns where they differ from ours, ours first:
            `{"title": "name", "images": "photo"}`. A table of `write_table` that lacks them is
            read by our own names: a search may compare a foreign table with one of ours.

    Returns:
        The rows in the file's order; each a product, or why it is none. Photos are not opened.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read, or lacks a column that is required or mapped.
    """
    path = Path(path)
    present = read_columns(path)
    mapping = _map_columns(path, present, columns or {})
    rows = read_cells(path, list(dict.fromkeys(mapping.values())))
    return (
        row if isinstance(row, BadRow) else _parse_row(row, mapping, path.parent) for row in rows
    )


def parse_column_mapping(text: str) -> dict[str, str]:
    """Reads a column mapping as typed on a command line.

    Args:
        text: Pairs such as `title=name,images=photo`; may be empty.

    Raises:
        ValueError: If a pair has no "=", or the left side is not one of our columns.
    """
    mapping: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        ours, equals, theirs = (part.strip() for part in pair.partition("="))
        if not equals or not theirs:
            raise ValueError(f"column mapping must look like title=name,images=photo, got {pair!r}")
        mapping[ours] = theirs
    _check_our_columns(mapping)
    return mapping


def write_table(path: Path, products: Iterable[Product]) -> int:
    """Writes products as a table that `read_table` reads.

    Photos below the table's folder are named relative to it, others by absolute path. The file
    appears whole or not at all.

    Args:
        path: Target, ending in .csv or .parquet; its folder is made.
        products: Rows, consumed one by one.

    Returns:
        How many rows were written.

    Raises:
        ValueError: If the name ends in neither.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in CSV_SUFFIXES + PARQUET_SUFFIXES:
        raise ValueError(f"{path} must end in .csv or .parquet")
    rows = (_format_row(product, path.parent.absolute()) for product in products)
    write = _write_csv if suffix in CSV_SUFFIXES else _write_parquet
    with written_whole(path) as partial:
        return write(partial, rows)


def _check_our_columns(mapping: Mapping[str, str]) -> None:
    if unknown := sorted(set(mapping) - set(COLUMNS)):
        raise ValueError(f"no column of ours is named {unknown[0]!r}; ours: {', '.join(COLUMNS)}")


def _map_columns(path: Path, present: tuple[str, ...], given: Mapping[str, str]) -> dict[str, str]:
    _check_our_columns(given)
    if present == COLUMNS and not set(given.values()) <= set(present):
        given = {}
    require_columns(path, present, given.values())
    mapping = {name: name for name in COLUMNS if name in present and name not in given}
    mapping.update(given)
    if "product_id" not in mapping:
        require_columns(path, present, ["product_id"])
    if "title" not in mapping and "images" not in mapping:
        raise ValueError(
            f"{path} has neither a column 'title' nor 'images'; its columns are "
            f"{', '.join(present)}"
        )
    return mapping


def _parse_row(row: CellRow, mapping: Mapping[str, str], folder: Path) -> Row:
    cells = {ours: row.cells[theirs] for ours, theirs in mapping.items()}
    try:
        return Product(
            product_id=text_of(cells["product_id"]),
            price=price_of(cells.get("price")),
            attributes=scalar_attributes_of(cells.get("attributes")),
            images=tuple(folder / name for name in paths_of(cells.get("images"))),
            **{name: text_of(cells.get(name)) for name in _TEXT_COLUMNS},
        )
    except ValueError as error:
        return row.refuse(str(error))


def _format_row(product: Product, folder: Path) -> dict[str, str | float | None]:
    images = [_format_path(image, folder) for image in product.images]
    return {
        "product_id": product.product_id,
        "price": product.price,
        "attributes": _format_json(dict(product.attributes)),
        "images": _format_json(images),
        **{name: getattr(product, name) for name in _TEXT_COLUMNS},
    }


def _format_path(path: Path, folder: Path) -> str:
    absolute = path.absolute()
    if absolute.is_relative_to(folder):
        return str(absolute.relative_to(folder))
    return str(absolute)


def _format_json(value: dict[str, str] | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""


def _write_csv(path: Path, rows: Iterable[Mapping[str, object]]) -> int:
    row_count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            row_count += 1
    return row_count


def _write_parquet(path: Path, rows: Iterable[Mapping[str, object]]) -> int:
    row_count = 0
    waiting: list[Mapping[str, object]] = []
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        for row in rows:
            waiting.append(row)
            row_count += 1
            if len(waiting) == _WRITTEN_AT_ONCE:
                writer.write_table(pa.Table.from_pylist(waiting, schema=_SCHEMA))
                waiting = []
        writer.write_table(pa.Table.from_pylist(waiting, schema=_SCHEMA))
    return row_count
