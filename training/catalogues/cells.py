"""Cells of CSV and Parquet files, read lazily row by row, before anything is known of products."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from training.product import BadRow

CSV_SUFFIXES = (".csv",)
PARQUET_SUFFIXES = (".parquet", ".pq")
_BATCH_ROW_COUNT = 1024
# The csv module refuses cells of more than 131,072 characters by default; descriptions have more.
_MAX_CELL_CHARACTERS = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One row of a file.

    Attributes:
        source: Name of the file.
        row_number: Number of the row, counted from 1, the header not counted.
        cells: Column name to value: strings from CSV, any type from Parquet, None when absent.
    """

    source: str
    row_number: int
    cells: Mapping[str, object]

    def refuse(self, reason: str) -> BadRow:
        """Makes the report that this row cannot be used."""
        return BadRow(source=self.source, row_number=self.row_number, reason=reason)


def read_columns(path: Path) -> tuple[str, ...]:
    """Reads the column names of a CSV (UTF-8, comma, with a header) or Parquet file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is of another kind, unreadable, empty, or names a column twice.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    suffix = path.suffix.lower()
    if suffix in PARQUET_SUFFIXES:
        with _open_parquet(path) as file:
            columns = list(file.schema_arrow.names)
    elif suffix in CSV_SUFFIXES:
        columns = _read_csv_header(path)
    else:
        raise ValueError(f"{path} must end in .csv or .parquet")
    if not columns:
        raise ValueError(f"{path} is empty; expected a header with column names")
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise ValueError(f"{path} has more than one column {twice[0]!r}")
    return tuple(columns)


def require_columns(path: Path, present: Sequence[str], required: Iterable[str]) -> None:
    """Checks that a file has columns.

    Raises:
        ValueError: If one is missing; names the file, the column, and what is there.
    """
    for column in required:
        if column not in present:
            raise ValueError(
                f"{path} has no column {column!r}; its columns are {', '.join(present)}"
            )


def read_cells(path: Path, columns: Sequence[str]) -> Iterator[CellRow | BadRow]:
    """Reads some columns of a file, row by row.

    Args:
        path: CSV or Parquet file.
        columns: Columns to read; `read_columns` names all of them.

    Yields:
        Each row's cells, or why the row cannot be read.

    Raises:
        ValueError: If a Parquet file breaks off.
    """
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return _read_parquet(path, columns)
    return _read_csv(path, columns)


def _read_parquet(path: Path, columns: Sequence[str]) -> Iterator[CellRow]:
    row_numbers = itertools.count(1)
    with _open_parquet(path) as file:
        batches = file.iter_batches(batch_size=_BATCH_ROW_COUNT, columns=list(columns))
        while True:
            try:
                batch = next(batches, None)
            except (OSError, pa.ArrowException) as error:
                raise ValueError(f"{path} breaks off: {error}") from error
            if batch is None:
                return
            for cells in batch.to_pylist():
                yield CellRow(source=path.name, row_number=next(row_numbers), cells=cells)


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} is not a readable Parquet file") from error


def _read_csv_header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        try:
            return [name.strip() for name in next(csv.reader(lines), [])]
        except csv.Error as error:
            raise ValueError(f"{path} is not a readable CSV file") from error


def _read_csv(path: Path, columns: Sequence[str]) -> Iterator[CellRow | BadRow]:
    csv.field_size_limit(_MAX_CELL_CHARACTERS)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        reader = csv.reader(lines)
        header = [name.strip() for name in next(reader)]
        row_number = 0
        while True:
            try:
                values = next(reader, None)
            except csv.Error as error:
                row_number += 1
                yield BadRow(source=path.name, row_number=row_number, reason=f"no CSV row: {error}")
                continue
            if values is None:
                return
            if not values:  # a blank line
                continue
            row_number += 1
            row = CellRow(
                source=path.name,
                row_number=row_number,
                cells=dict(zip(header, values, strict=False)),
            )
            if len(values) != len(header):
                yield row.refuse(f"has {len(values)} cells; the header names {len(header)}")
            elif not _is_unicode(values):
                yield row.refuse("is not UTF-8")
            else:
                cells = {name: row.cells[name] for name in columns}
                yield CellRow(source=path.name, row_number=row_number, cells=cells)


def _is_unicode(values: Sequence[str]) -> bool:
    # Undecodable bytes were read as lone surrogates, so that one bad cell costs one row only.
    return not any("\udc80" <= character <= "\udcff" for value in values for character in value)
