"""The folder from which Milvus imports rows: Parquet of bounded size, which is removed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from twinshelf.server.catalogue.milvus.connection import Row

# Older servers read a whole file into memory.
_MOST_ROWS: Final = 50_000
_MOST_BYTES: Final = 256 << 20
_SCHEMES: Final = frozenset({"file", "s3", "gs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFolder:
    """A folder that Milvus reads, a local one or one of its bucket; see `RowFolder`.

    Attributes:
        files: Where it lies.
        path: Its path there; in a store of objects that of the bucket comes first.
    """

    files: fs.FileSystem
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a path, or a URI such as `s3://bucket/prefix`.

        Raises:
            ValueError: If it is neither, or of a kind that Milvus does not read.
        """
        scheme, mark, _ = text.partition("://")
        if mark and scheme not in _SCHEMES:
            raise ValueError(f"--import-folder must be a path, s3:// or gs://, got {text}")
        try:
            files, path = fs.FileSystem.from_uri(text if mark else str(Path(text).absolute()))
        except (ValueError, OSError) as error:
            raise ValueError(f"--import-folder {text} cannot be used: {error}") from None
        if not path:
            raise ValueError(f"--import-folder {text} names no bucket")
        return cls(files=files, path=path.rstrip("/"))

    @contextmanager
    def own_part(self) -> Iterator[ImportFolder]:
        """Makes a folder within, for one run, and removes it with all that lies there."""
        own = replace(self, path=f"{self.path}/twinshelf-{uuid4().hex}")
        self.files.create_dir(own.path)
        try:
            yield own
        finally:
            self.files.delete_dir(own.path)

    def row_files(self, name: str, fields: Sequence[Row], types: Any) -> ParquetFiles:
        """Returns what takes the rows of a collection; see `RowFolder`."""
        return ParquetFiles(self, name, arrow_schema(fields, types))

    def remove(self, path: str) -> None:
        """Removes a file."""
        self.files.delete_file(path)

    def seen_by_milvus(self, path: str) -> str:
        """Returns how Milvus calls a file of the folder."""
        # A store of objects has the bucket first, which Milvus knows.
        return path if self.files.type_name == "local" else path.partition("/")[2]


class ParquetFiles:
    """Rows of one collection, written into one file after the other."""

    def __init__(self, folder: ImportFolder, name: str, schema: pa.Schema) -> None:
        """Begins without a file.

        Args:
            folder: Where the files go.
            name: With this their names begin.
            schema: Columns, as `arrow_schema` returns them.
        """
        self._folder = folder
        self._name = name
        self._schema = schema
        self._file_count = self._file_rows = self._file_bytes = 0
        self._path = ""
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: Sequence[Row]) -> str | None:
        """Writes rows; see `RowFiles`."""
        table = pa.table(
            [
                pa.array([_plain(row[field.name]) for row in rows], field.type)
                for field in self._schema
            ],
            schema=self._schema,
        )
        if self._writer is None:
            self._path = f"{self._folder.path}/{self._name}-{self._file_count:05}.parquet"
            self._writer = pq.ParquetWriter(self._path, self._schema, filesystem=self._folder.files)
            self._file_count += 1
        self._writer.write_table(table)
        self._file_rows += table.num_rows
        self._file_bytes += table.nbytes
        is_full = self._file_rows >= _MOST_ROWS or self._file_bytes >= _MOST_BYTES
        return self.close() if is_full else None

    def close(self) -> str | None:
        """Closes the file that is being written; see `RowFiles`."""
        if self._writer is None:
            return None
        self._writer.close()
        self._writer = None
        self._file_rows = self._file_bytes = 0
        return self._path


def arrow_schema(fields: Sequence[Row], types: Any) -> pa.Schema:
    """Returns the columns of a file of rows, as Milvus' bulk import takes them.

    Args:
        fields: The fields of the collection, as Milvus describes them.
        types: The types of fields that Milvus knows.
    """
    plain = {
        types.VARCHAR: pa.string(),
        types.INT8: pa.int8(),
        types.INT64: pa.int64(),
        types.DOUBLE: pa.float64(),
        types.FLOAT_VECTOR: pa.list_(pa.float32()),
        types.FLOAT16_VECTOR: pa.list_(pa.uint8()),  # the bytes of each number, the low one first
    }
    return pa.schema(
        (
            field["name"],
            pa.list_(plain[field["element_type"]])
            if field["type"] == types.ARRAY
            else plain[field["type"]],
        )
        for field in fields
    )


def _plain(value: Any) -> Any:
    """Returns a value as its column takes it: of a vector of half floats, the bytes."""
    return value.view(np.uint8) if isinstance(value, np.ndarray) else value
