"""A table of answers: staged offer by offer beside its place, written when all are there."""

from __future__ import annotations

import csv
import fcntl
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from twinshelf.client.commands.resume_point import naming
from twinshelf.client.files.forms.stored_bytes import PARQUET_SUFFIXES
from twinshelf.client.files.rows import ProductFileError

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("row_number", pa.int64()),
        ("offer_id", pa.string()),
        ("offer_title", pa.string()),
        ("rank", pa.int32()),
        ("product_id", pa.string()),
        ("product_title", pa.string()),
        ("probability", pa.float64()),
        ("is_match", pa.bool_()),
        ("no_match_probability", pa.float64()),
        ("score", pa.float64()),
        ("image_score", pa.float64()),
        ("text_score", pa.float64()),
        ("pair_probability", pa.float64()),
        ("error", pa.string()),
    ]
)
_WRITTEN_AT_ONCE = 1024
Line = dict[str, object]


class StagedTable:
    """Lines of the offers that are done, kept so that a broken run goes on behind them.

    One line of JSON for each offer, behind one that says of which run; what a killed process left
    half written is cut off.
    """

    def __init__(self, table: Path, digest: str, schema: pa.Schema = SCHEMA) -> None:
        """Goes on where an earlier run of the same digest stopped, or begins anew.

        Args:
            table: Target, .csv or .parquet.
            digest: Of what is matched, where and how.
            schema: Its columns.

        Raises:
            ProductFileError: If the table has another ending, or another run writes it.
        """
        if table.suffix.lower() not in (".csv", *PARQUET_SUFFIXES):
            raise ProductFileError(f"the table to write must end in .csv or .parquet, got {table}")
        self._table = table
        self._schema = schema
        self.path = table.with_name(f"{table.name}.partial")
        self._file = self.path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ProductFileError(f"another run is writing {self.path}") from None
        self.done_count = self._recover(f"{digest}\n".encode())

    def _recover(self, head: bytes) -> int:
        self._file.seek(0)
        kept_bytes, done_count = 0, 0
        if self._file.readline() == head:
            kept_bytes = len(head)
            for line in self._file:
                if line.endswith(b"\n"):
                    kept_bytes += len(line)
                    done_count += 1
        self._file.truncate(kept_bytes)
        if not kept_bytes:
            self._file.write(head)
        return done_count

    def add(self, lines: list[Line]) -> None:
        """Keeps the lines of the next offer; a process that is killed now does not lose them."""
        # Names of files need not be UTF-8, but the table is.
        text = json.dumps(lines, ensure_ascii=False)
        with naming(self.path):
            self._file.write(text.encode(errors="replace") + b"\n")
            self._file.flush()

    def offers(self) -> Iterator[list[Line]]:
        """Yields the lines of each offer that is done."""
        with self.path.open("rb") as file:
            file.readline()
            yield from map(json.loads, file)

    def finish(self) -> None:
        """Writes the table, whole or not at all, and forgets the run."""
        partial = self.path.with_suffix(".new")
        lines = itertools.chain.from_iterable(self.offers())
        try:
            with naming(self._table):
                if self._table.suffix.lower() in PARQUET_SUFFIXES:
                    _write_parquet(partial, lines, self._schema)
                else:
                    with partial.open("w", encoding="utf-8", newline="") as file:
                        writer = csv.DictWriter(file, self._schema.names)
                        writer.writeheader()
                        writer.writerows(lines)
                os.replace(partial, self._table)
        finally:
            partial.unlink(missing_ok=True)
        self.path.unlink()

    def __enter__(self) -> StagedTable:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
        except OSError:
            if error is None:  # else it would hide how it failed first
                raise


def _write_parquet(path: Path, lines: Iterable[Line], schema: pa.Schema) -> None:
    rest = iter(lines)
    with pq.ParquetWriter(path, schema) as writer:
        while batch := list(itertools.islice(rest, _WRITTEN_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
