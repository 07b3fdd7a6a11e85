"""Parquet tables, a batch of rows at a time; what unpacks to gigabytes is refused unread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from twinshelf.client.files.names.column_names import is_usual_name
from twinshelf.client.files.rows import ProductFileError

# What one row group may unpack to in the columns that are read: a reader holds it whole.
MOST_UNPACKED_BYTES = 1024**3
# A file far above this ratio was made to fill a memory, not to hold products.
_MOST_RATIO = 50
_RATIO_COUNTS_FROM_BYTES = 256 * 1024**2
# A value of a dictionary, or a row of a run, takes no bytes in the file, yet so many of the memory.
_BYTES_OF_VALUE = 8
_BATCH_BYTES = 64 * 1024**2
_MOST_BATCH_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetTable:
    """A Parquet file.

    Attributes:
        path: The file.
        header: Names of its columns; those within a struct behind its own: "product.title".
        repeated: Those of several columns, which cannot be read.
        vectors: Columns of lists of numbers, which no field is read from, and may be gigabytes.
        row_count: Rows, as its metadata says.
    """

    path: Path
    header: tuple[str, ...]
    repeated: frozenset[str]
    vectors: frozenset[str]
    row_count: int

    def rows(self, columns: Sequence[str]) -> Iterator[dict[str, object]]:
        """Yields the values of some columns, row by row; of a struct's field, the struct's.

        Raises:
            ProductFileError: If the file breaks off, or these columns would unpack to gigabytes.
        """
        try:
            with pq.ParquetFile(self.path) as file:
                names = file.schema_arrow.names
                outer = (name if name in names else name.partition(".")[0] for name in columns)
                columns = list(dict.fromkeys(outer))
                _require_single(self.path, file.schema_arrow, columns)
                flat = _flat_columns(file.schema_arrow, columns)
                bytes_per_row = _require_bounded(self.path, file.metadata, columns)
            # Equal texts stay one text: a dictionary of a few long ones may stand for a million.
            with pq.ParquetFile(self.path, read_dictionary=flat) as file:
                batch_size = max(1, min(_MOST_BATCH_ROWS, int(_BATCH_BYTES / bytes_per_row)))
                for batch in batches_of(file, batch_size, columns):
                    lists = [_values(column) for column in batch.columns]
                    for values in zip(*lists, strict=True):
                        yield dict(zip(batch.schema.names, values, strict=True))
        except (OSError, pa.ArrowException) as error:
            raise ProductFileError(f"{self.path} breaks off: {error}") from error
        except IndexError as error:
            raise ProductFileError(
                f"{self.path} is damaged: cells stand for texts that it does not hold"
            ) from error


def batches_of(
    file: pq.ParquetFile, row_count: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a file, so many at once at most, one row group after the other.

    Read as one, a file fills the memory: Arrow keeps what it has read of the groups behind.
    """
    for number in range(file.num_row_groups):
        yield from file.iter_batches(row_count, row_groups=[number], columns=columns)


def open_parquet(path: Path) -> ParquetTable:
    """Reads the metadata of a Parquet file.

    Raises:
        ProductFileError: If it is none.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            return ParquetTable(
                path=path,
                header=tuple(dict.fromkeys((*schema.names, *_inner_names(schema)))),
                repeated=frozenset(
                    name for name in schema.names if len(schema.get_all_field_indices(name)) > 1
                ),
                vectors=frozenset(
                    each.name
                    for each in schema
                    if _holds_vectors(each.type) and not is_usual_name(each.name, "price")
                ),
                row_count=file.metadata.num_rows,
            )
    except (OSError, pa.ArrowException) as error:
        raise ProductFileError(f"{path} is not a readable Parquet file") from error


def _holds_vectors(kind: pa.DataType) -> bool:
    is_list = isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType)
    return is_list and (pa.types.is_floating(kind.value_type) or _holds_vectors(kind.value_type))


def _inner_names(schema: pa.Schema) -> list[str]:
    structs = [field for field in schema if pa.types.is_struct(field.type)]
    return [f"{struct.name}.{inner.name}" for struct in structs for inner in struct.type]


def _require_single(path: Path, schema: pa.Schema, columns: Sequence[str]) -> None:
    for name in columns:
        if len(schema.get_all_field_indices(name)) > 1:
            raise ProductFileError(f"{path} has more than one column {name!r}")


def _flat_columns(schema: pa.Schema, columns: Sequence[str]) -> list[str]:
    texts = (pa.types.is_string, pa.types.is_large_string)
    return [name for name in columns if any(is_text(schema.field(name).type) for is_text in texts)]


def _require_bounded(path: Path, metadata: Any, columns: Sequence[str]) -> float:
    """Refuses what unpacks to gigabytes; returns how many bytes a row has."""
    total, largest = 0, 0
    roots = tuple(f"{name}." for name in columns)  # a name may hold points itself
    for group_number in range(metadata.num_row_groups):
        group = metadata.row_group(group_number)
        chunks = (group.column(number) for number in range(group.num_columns))
        size = sum(
            max(chunk.total_uncompressed_size, chunk.num_values * _BYTES_OF_VALUE)
            for chunk in chunks
            if f"{chunk.path_in_schema}.".startswith(roots)
        )
        total, largest = total + size, max(largest, size)
    file_bytes = path.stat().st_size
    is_bomb = total > max(_RATIO_COUNTS_FROM_BYTES, _MOST_RATIO * file_bytes)
    if largest > MOST_UNPACKED_BYTES or is_bomb:
        raise ProductFileError(
            f"{path} has {file_bytes:,} bytes and would unpack to {total:,}, up to {largest:,} at "
            f"once; expected {MOST_UNPACKED_BYTES:,} at once at most. Write it with smaller row "
            "groups"
        )
    return float(max(1.0, total / max(metadata.num_rows, 1)))


def _values(column: pa.Array) -> list[object]:
    if not pa.types.is_dictionary(column.type):
        return _plain_values(column)
    texts = _plain_values(column.dictionary)
    return [None if place is None else texts[place] for place in column.indices.to_pylist()]


def _plain_values(column: pa.Array) -> list[object]:
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:  # texts in another encoding: as bytes they are read one by one
        return list(column.cast(pa.large_binary()).to_pylist())
    except (ValueError, OverflowError):  # times that Python does not know
        return list(column.cast(pa.string()).to_pylist())
