"""Products in a memory-mapped file: memory does not grow with their texts.

What is known of all products at once is one number for each: who shares whose group or identifier.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import Row
from twinshelf.training.catalogues.table import (
    COLUMNS,
    SCHEMA,
    as_batches,
    parse_images,
    parse_row,
)

Numbers = npt.NDArray[np.int64]


class MappedProducts(Sequence[Product]):
    """Products that are read from a mapped file when they are asked for.

    Args:
        table: Their rows, as our own tables have them.
        folder: Folder that their photos are named relative to.
        rows: Which rows, in which order; None takes all.
    """

    def __init__(self, table: pa.Table, folder: Path, rows: Numbers | None = None) -> None:
        self._table, self._folder = table, folder
        self._columns = {name: table.column(name) for name in COLUMNS}
        self._rows = np.arange(len(table)) if rows is None else rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Product:  # type: ignore[override]  # no slices: see `take`
        row = int(self._rows[index])
        return parse_row(
            {name: column[row].as_py() for name, column in self._columns.items()}, self._folder
        )

    def take(self, places: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> MappedProducts:
        """Returns some of them, chosen by place or by a mask."""
        return MappedProducts(self._table, self._folder, self._rows[places])

    def texts(self, name: str) -> pa.ChunkedArray:
        """Returns a column of texts, in memory."""
        return self._columns[name].take(pa.array(self._rows))

    def images(self) -> Iterator[tuple[Path, ...]]:
        """Returns the photos of the products that have some; equal lists come once."""
        for cell in filter(None, self.texts("images").unique().to_pylist()):
            yield parse_images(cell, self._folder)


def map_table(path: Path) -> MappedProducts:
    """Maps the products of a table of our own.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is none of our own.
    """
    with pq.ParquetFile(path) as file:
        if tuple(file.schema_arrow.names) != COLUMNS:
            raise ValueError(f"{path} is no prepared table; expected columns {', '.join(COLUMNS)}")
        return MappedProducts(_spill(file.iter_batches()), path.parent)


def map_rows(rows: Iterable[Row]) -> tuple[MappedProducts, tuple[BadRow, ...]]:
    """Parts products, which are mapped, from bad rows."""
    bad_rows: list[BadRow] = []

    def products() -> Iterable[Product]:
        """Puts the bad rows aside."""
        for row in rows:
            if isinstance(row, BadRow):
                bad_rows.append(row)
            else:
                yield row

    table = _spill(as_batches(products()))
    return MappedProducts(table, Path("/")), tuple(bad_rows)


def number_texts(*columns: pa.ChunkedArray, by_name: bool = False) -> list[Numbers]:
    """Numbers texts from 0, equal ones equally, in all columns alike.

    Args:
        columns: Texts, as `MappedProducts.texts` gives them.
        by_name: Whether the numbers rise as the texts do, by code point; else the first is 0.

    Returns:
        A number for each text of each column.
    """
    chunks = [chunk for column in columns for chunk in column.chunks]
    encoded = pa.chunked_array(chunks, pa.large_string()).dictionary_encode()
    numbers = np.concatenate(
        [chunk.indices.to_numpy() for chunk in encoded.chunks] or [np.empty(0)]
    ).astype(np.int64)
    if by_name and len(numbers):
        numbers = pc.rank(encoded.chunk(0).dictionary).to_numpy().astype(np.int64)[numbers] - 1
    return np.split(numbers, np.cumsum([len(column) for column in columns])[:-1])


def _spill(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Writes rows to a temporary file, which is gone when nobody maps it any longer."""
    schema = pa.schema(
        [pa.field(f.name, f.type if f.type == pa.float64() else pa.large_string()) for f in SCHEMA]
    )
    with tempfile.NamedTemporaryFile(prefix="twinshelf-") as file:
        with pa.ipc.new_file(file.name, schema) as writer:
            for batch in batches:
                writer.write_batch(batch.cast(schema))
        return pa.ipc.open_file(pa.memory_map(file.name)).read_all()
