"""Products in a memory-mapped file: memory does not grow with their texts.

What is known of all products at once is one number for each: who shares whose group or identifier.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twinshelf.client.files.forms.parquet_table import batches_of
from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import Row, usable_rows
from twinshelf.training.catalogues.table import (
    COLUMNS,
    ROWS_AT_ONCE,
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
    """

    def __init__(self, table: pa.Table, folder: Path) -> None:
        self._table, self._folder, self._is_whole = table, folder, True
        self._parts = table.to_batches()
        self._starts = np.cumsum([0, *map(len, self._parts)])
        self._rows = np.arange(len(table))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Product:  # type: ignore[override]  # no slices: see `take`
        row = self._rows[index]
        owner = int(np.searchsorted(self._starts, row, side="right")) - 1
        (cells,) = self._parts[owner].slice(row - self._starts[owner], 1).to_pylist()
        return parse_row(cells, self._folder)

    def __iter__(self) -> Iterator[Product]:
        for block in self._blocks(COLUMNS):
            for cells in block.to_pylist():
                yield parse_row(cells, self._folder)

    def take(self, places: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> MappedProducts:
        """Returns some of them, chosen by place or by a mask."""
        taken = copy.copy(self)
        taken._rows, taken._is_whole = self._rows[places], False
        return taken

    def texts(self, name: str) -> pa.ChunkedArray:
        """Returns a column of texts; that of a whole table stays in the mapped file."""
        if self._is_whole:
            return self._table.column(name)
        chunks = (chunk for block in self._blocks([name]) for chunk in block.column(0).chunks)
        return pa.chunked_array(chunks, pa.large_string())

    def are_in(self, others: MappedProducts) -> npt.NDArray[np.bool_]:
        """Tells which of them others hold too, by identifier."""
        return np.asarray(pc.is_in(self.texts("product_id"), others.texts("product_id")))

    def images(self) -> Iterator[tuple[Path, ...]]:
        """Returns the photos of the products that have some; equal lists come once."""
        for cell in self.texts("images").unique():
            if text := cell.as_py():
                yield parse_images(text, self._folder)

    def _blocks(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yields some columns in parts: Arrow would join all of a column to take a few rows."""
        for first in range(0, len(self), ROWS_AT_ONCE):
            rows = self._rows[first : first + ROWS_AT_ONCE]
            owners = np.searchsorted(self._starts, rows, side="right") - 1
            taken = [
                self._parts[owner].select(names).take(rows[owners == owner] - self._starts[owner])
                for owner in np.unique(owners).tolist()
            ]
            order = np.argsort(owners, kind="stable")
            yield pa.Table.from_batches(taken).take(np.argsort(order))


def map_table(path: Path) -> MappedProducts:
    """Maps the products of a table of our own.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is none of our own.
    """
    with pq.ParquetFile(path) as file:
        if tuple(file.schema_arrow.names) != COLUMNS:
            raise ValueError(f"{path} is no prepared table; expected columns {', '.join(COLUMNS)}")
        return MappedProducts(_spill(batches_of(file, ROWS_AT_ONCE)), path.parent)


def map_rows(rows: Iterable[Row]) -> tuple[MappedProducts, tuple[BadRow, ...]]:
    """Parts products, which are mapped, from bad rows."""
    bad_rows: list[BadRow] = []
    table = _spill(as_batches(usable_rows(rows, bad_rows)))
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
