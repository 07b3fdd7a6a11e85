"""Reads products from a table: CSV, TSV or Parquet in the project's own columns.

Columns: product_id, title, description, category, brand, seller, price, attributes (a JSON object),
images (a JSON list or paths with ";" between them, relative to the file's folder or absolute) and
group (which product a row shows; kept for evaluation, never sent). Only product_id and one of title
and images are required. Rows are read lazily; a row that cannot be used is returned with its
reason and the reading goes on.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow
import pyarrow.parquet

from client.product_cells import (
    read_attributes,
    read_images,
    read_photo,
    read_price,
    read_text,
)
from client.records import Product

FIELDS = (
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
EMBEDDED_TEXTS = ("title", "description", "category", "brand")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
PARQUET_SUFFIXES = (".parquet", ".pq")
LONGEST_CELL = 16 * 1024 * 1024
ROWS_AT_A_TIME = 256


class ProductFileError(Exception):
    """A file that cannot be read at all; the message says what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRow:
    """A row of a product file: a product, or why there is none.

    Attributes:
        row_number: From 1, the header not counted.
        product: The product with the bytes of its main photo; None when the row cannot be used.
        group: Which product the row shows; empty when unknown.
        image_path: The main photo; None when the row has none.
        reason: Why the row cannot be used; empty when it can.
    """

    row_number: int
    product: Product | None = None
    group: str = ""
    image_path: Path | None = None
    reason: str = ""


class ProductFile:
    """A table of products."""

    def __init__(self, path: Path, columns: Mapping[str, str] | None = None) -> None:
        """Opens the file and checks its columns.

        Args:
            path: CSV, TSV or Parquet, by its suffix.
            columns: Our field to the file's column, such as {"title": "name"}; a field that is left
                out is read from the column of its own name.

        Raises:
            ProductFileError: If the file or one of its required columns is not there.
        """
        self.path = path
        suffix = path.suffix.lower()
        if suffix not in (*DELIMITERS, *PARQUET_SUFFIXES):
            raise ProductFileError(f"{path} must end in .csv, .tsv or .parquet")
        if not path.is_file():
            raise ProductFileError(f"there is no file {path}")
        self._is_parquet = suffix in PARQUET_SUFFIXES
        self._delimiter = DELIMITERS.get(suffix, ",")
        self._columns = _checked_columns(path, self._header(), dict(columns or {}))

    def count_rows(self) -> int:
        """Returns how many rows the file has; reads a text file once through.

        Raises:
            ProductFileError: If the file cannot be read.
        """
        if self._is_parquet:
            with _reading(self.path), pyarrow.parquet.ParquetFile(self.path) as table:
                return int(table.metadata.num_rows)
        return sum(1 for _ in self._text_rows())

    def rows(self, *, with_photos: bool = True) -> Iterator[ProductRow]:
        """Yields the rows in order; photos are read as the rows are asked for.

        A product_id that an earlier row had is a bad row: in one stream, either could win.

        Args:
            with_photos: Whether the photos are read at all; else products come without.

        Raises:
            ProductFileError: If the file breaks off.
        """
        row_of: dict[str, int] = {}
        cells = self._parquet_rows() if self._is_parquet else self._text_rows()
        for row_number, values in enumerate(cells, start=1):
            try:
                if isinstance(values, str):
                    raise ValueError(values)
                row = self._read_row(row_number, values, with_photos=with_photos)
            except ValueError as reason:
                yield ProductRow(row_number=row_number, reason=str(reason))
                continue
            assert row.product is not None
            product_id = row.product.product_id
            if product_id in row_of:
                reason_text = f"product_id {product_id!r} stands in row {row_of[product_id]} too"
                yield ProductRow(row_number=row_number, reason=reason_text)
                continue
            row_of[product_id] = row_number
            yield row

    def _header(self) -> list[str]:
        with _reading(self.path):
            if self._is_parquet:
                return list(pyarrow.parquet.read_schema(self.path).names)
            with self._open_text() as file:
                header = next(csv.reader(file, delimiter=self._delimiter), [])
                return [name.strip() for name in header]

    def _open_text(self) -> TextIO:
        # Bytes that are no UTF-8 become lone surrogates: one bad cell costs its row, not the file.
        return self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _parquet_rows(self) -> Iterator[dict[str, Any] | str]:
        names = sorted(set(self._columns.values()))
        with _reading(self.path), pyarrow.parquet.ParquetFile(self.path) as table:
            for batch in table.iter_batches(batch_size=ROWS_AT_A_TIME, columns=names):
                yield from batch.to_pylist()

    def _text_rows(self) -> Iterator[dict[str, Any] | str]:
        """Yields the cells of each row by column, or why the row has none."""
        csv.field_size_limit(LONGEST_CELL)
        with _reading(self.path), self._open_text() as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            header = [name.strip() for name in next(reader)]
            while True:
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as reason:
                    yield f"the row cannot be read: {reason}"
                    continue
                if not cells:  # an empty line is no row
                    continue
                if len(cells) != len(header):
                    yield f"the row must have {len(header)} cells as the header, got {len(cells)}"
                    continue
                if any("\udc80" <= letter <= "\udcff" for letter in "".join(cells)):
                    yield "the row is not UTF-8"
                    continue
                yield dict(zip(header, cells, strict=True))

    def _read_row(
        self, row_number: int, values: Mapping[str, Any], *, with_photos: bool
    ) -> ProductRow:
        cells = {field: values.get(column) for field, column in self._columns.items()}
        texts = [read_text(cells.get(field)) for field in EMBEDDED_TEXTS]
        product_id = read_text(cells.get("product_id"))
        if not product_id:
            raise ValueError("product_id is empty")
        images = read_images(cells.get("images"))
        attributes = read_attributes(cells.get("attributes"))
        if not images and not any(texts):
            raise ValueError("there is nothing to embed: title and images are empty")
        title, description, category, brand = texts
        image_path = self.path.parent / images[0] if images else None
        return ProductRow(
            row_number=row_number,
            group=read_text(cells.get("group")),
            image_path=image_path,
            product=Product(
                product_id=product_id,
                title=title,
                description=description,
                category=category,
                brand=brand,
                seller=read_text(cells.get("seller")),
                price=read_price(cells.get("price")),
                attributes=attributes,
                image=read_photo(image_path) if image_path and with_photos else b"",
                image_uri=images[0] if images else "",
            ),
        )


class _reading:  # noqa: N801 - used like a function
    """Turns what the libraries raise about a broken file into one readable error."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, (OSError, UnicodeError, csv.Error, pyarrow.ArrowException)):
            raise ProductFileError(f"{self._path} cannot be read: {error}") from error


def read_column_mapping(text: str) -> dict[str, str]:
    """Reads a mapping such as "title=name,images=photo".

    Args:
        text: Our field, an equals sign, the file's column; commas between.

    Raises:
        ValueError: If the text is no such mapping or names a field that we do not have.
    """
    mapping: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        field, equals, column = (piece.strip() for piece in part.partition("="))
        if not (equals and field and column):
            raise ValueError(f"columns must look like title=name,images=photo, got {part!r}")
        if field not in FIELDS:
            raise ValueError(f"there is no field {field!r}; the fields are {', '.join(FIELDS)}")
        mapping[field] = column
    return mapping


def _checked_columns(path: Path, header: list[str], mapping: dict[str, str]) -> dict[str, str]:
    """Returns which column each field is read from."""
    for field, column in mapping.items():
        if column not in header:
            raise ProductFileError(
                f"{path} has no column {column!r} for {field}; it has {', '.join(header) or 'none'}"
            )
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise ProductFileError(f"{path} has more than one column {twice[0]!r}")
    columns = {field: mapping.get(field, field) for field in FIELDS}
    columns = {field: column for field, column in columns.items() if column in header}
    if "product_id" not in columns or not {"title", "images"} & set(columns):
        raise ProductFileError(
            f"{path} needs a column product_id and one of title and images; it has "
            f"{', '.join(header) or 'none'}. Map columns of other names with "
            "--columns product_id=sku,title=name"
        )
    return columns
