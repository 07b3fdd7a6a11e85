"""Rows of a big file looked up by identifier, a block at a time, so that memory stays bounded."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twinshelf.client.files.forms.parquet_table import ParquetTable, batches_of
from twinshelf.client.files.forms.table import open_table
from twinshelf.client.files.rows import CellRow
from twinshelf.client.files.values.cell_values import text_of

Key = tuple[str, ...]
T = TypeVar("T")
_BATCH_ROW_COUNT = 8192
_LISTS = (pa.ListType, pa.LargeListType, pa.FixedSizeListType)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRows:
    """Rows of a file by their identifier.

    Attributes:
        source: Name of the file.
        columns: Columns that together identify a row.
        rows: Identifier to its rows; more than one when the file repeats it.
    """

    source: str
    columns: tuple[str, ...]
    rows: Mapping[Key, Sequence[CellRow]]

    def take(self, key: Key) -> CellRow:
        """Returns the row of an identifier.

        Raises:
            ValueError: If the file has none or several; names file, rows and column.
        """
        rows = self.rows.get(key, ())
        if len(rows) == 1:
            return rows[0]
        name = f"{'+'.join(self.columns)} {' '.join(key)!r}"
        if not rows:
            raise ValueError(f"{name} stands in no row of {self.source}")
        numbers = " and ".join(str(row.row_number) for row in rows[:2])
        raise ValueError(f"{name} stands in rows {numbers} of {self.source}; expected one")


def find_rows(
    path: Path, keys: Sequence[str], wanted: AbstractSet[Key], columns: Sequence[str]
) -> FoundRows:
    """Reads the rows with the wanted identifiers, in one pass over the file.

    Args:
        path: CSV or Parquet file.
        keys: Columns that together identify a row.
        wanted: Identifiers to find, one text for each of `keys`.
        columns: Further columns to read. Lists of numbers come as float32 arrays, lists of such
            lists as lists of arrays, missing numbers as NaN.

    Raises:
        ValueError: If a Parquet file is damaged.
    """
    found: dict[Key, list[CellRow]] = {}
    names = list(dict.fromkeys([*keys, *columns]))
    for row in _candidates(path, keys[0], {key[0] for key in wanted}, names):
        key = tuple(text_of(row.cells[name]) for name in keys)
        if key in wanted:
            found.setdefault(key, []).append(row)
    return FoundRows(source=path.name, columns=tuple(keys), rows=found)


def blocks(rows: Iterable[T], row_count: int) -> Iterator[list[T]]:
    """Cuts rows into lists of `row_count`, 1 or more; the last one is shorter."""
    rest = iter(rows)
    while block := list(itertools.islice(rest, row_count)):
        yield block


def _candidates(
    path: Path, key: str, texts: AbstractSet[str], names: Sequence[str]
) -> Iterator[CellRow]:
    table = open_table(path)
    table.require(names)
    if isinstance(table.content, ParquetTable):
        yield from _read_parquet(path, key, texts, names)
        return
    for row in table.rows(names):
        if isinstance(row, CellRow) and text_of(row.cells[key]) in texts:
            yield row


def _read_parquet(
    path: Path, key: str, texts: AbstractSet[str], names: Sequence[str]
) -> Iterator[CellRow]:
    wanted = pa.array(sorted(texts), pa.string())
    row_count = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in batches_of(file, _BATCH_ROW_COUNT, list(names)):
                mask = pc.is_in(pc.cast(batch.column(key), pa.string()), value_set=wanted)
                cells = {name: _to_cells(batch.column(name).filter(mask)) for name in names}
                for place, offset in enumerate(np.flatnonzero(mask.to_numpy(False))):
                    yield CellRow(
                        source=path.name,
                        row_number=row_count + int(offset) + 1,
                        cells={name: cells[name][place] for name in names},
                    )
                row_count += len(batch)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} is not a readable Parquet file: {error}") from error


def _to_cells(column: pa.Array) -> list[Any]:
    """Converts a column; vectors stay arrays, because a Python float takes eight times as much."""
    kind = column.type
    while isinstance(kind, _LISTS):
        kind = kind.value_type
    if kind is column.type or not pa.types.is_floating(kind):
        return list(column.to_pylist())
    return [_to_vectors(cell.values) for cell in column]


def _to_vectors(values: pa.Array | None) -> Any:
    if values is None:
        return None
    if isinstance(values.type, _LISTS):
        return [_to_vectors(cell.values) for cell in values]
    return np.array(values.to_numpy(zero_copy_only=False), dtype=np.float32)
