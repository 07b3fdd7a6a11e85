"""Reading the vectors of the SQLite file, and what tells them apart.

A product has one vector by each encoder, in either of two tables: one statement reads both, as a
vector may move from one to the other. Each further photo has a half of its own by each encoder,
which stands in a copy of that vector in the place of the photo: so the best photo counts, whatever
the weights.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.product_record import PHOTO_SHIFT, VectorTable
from twinshelf.server.catalogue.rows.connections import ReaderConnections
from twinshelf.server.catalogue.rows.file_guard import FileGuard
from twinshelf.server.catalogue.rows.stored_rows import (
    VECTOR_TABLES,
    find_photo_problem,
    find_vector_problem,
)
from twinshelf.server.encoders.modalities import Pattern

logger = logging.getLogger(__name__)
_BLOCK_SIZE = 4096
_ASKED = "(SELECT encoder_number FROM encoders WHERE digest = :digest)"
_FURTHER_VERSION = f"f.photo_number << {PHOTO_SHIFT} | v.vector_version"


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorKeys:
    """What tells N stored vectors apart, by rising product number.

    Attributes:
        product_numbers: (N,) internal numbers.
        vector_versions: (N,) versions.
        checksums: (N,) CRC-32 of the vectors.
    """

    product_numbers: npt.NDArray[np.int64]
    vector_versions: npt.NDArray[np.int64]
    checksums: npt.NDArray[np.int64]


class VectorReader:
    """Reads vectors; damaged ones are set aside by its guard."""

    def __init__(self, connections: ReaderConnections, guard: FileGuard) -> None:
        """Takes the parts that it works with."""
        self._connections = connections
        self._guard = guard

    def keys(self, digest: str, pattern: Pattern) -> VectorKeys:
        """Returns what tells the vectors of an encoder and a pattern apart, by product number."""
        return self._keys(
            " UNION ALL ".join(
                "SELECT product_number, vector_version AS version, checksum "
                f"FROM {table} WHERE encoder_number = {_ASKED} AND pattern = :pattern"
                for table in VECTOR_TABLES
            ),
            digest,
            pattern,
        )

    def further_keys(self, digest: str, pattern: Pattern) -> VectorKeys:
        """Does what `keys` does, for the vectors of further photos."""
        return self._keys(
            " UNION ALL ".join(
                f"SELECT f.product_number, {_FURTHER_VERSION} AS version, f.checksum "
                f"FROM further_photos f CROSS JOIN {table} v "
                "USING (product_number, encoder_number) "
                f"WHERE f.encoder_number = {_ASKED} AND v.pattern = :pattern"
                for table in VECTOR_TABLES
            ),
            digest,
            pattern,
        )

    def table(
        self, numbers: npt.NDArray[np.int64], digest: str, pattern: Pattern, dimension: int
    ) -> VectorTable:
        """Returns vectors by product number; damaged ones are left out and named in the log.

        Args:
            numbers: (N,) internal numbers.
            digest: Digest of the encoder; vectors of others are left out.
            pattern: Pattern of the vectors; those of others are left out.
            dimension: Length of a vector.
        """
        columns = np.empty((len(numbers), 3), dtype=np.int64)
        vectors = np.empty((len(numbers), dimension), dtype=np.float16)
        count = 0
        for rows in self._blocks(
            numbers,
            "SELECT v.product_number, v.encoder_number, v.vector_version, v.checksum, v.vector "
            "FROM json_each(:numbers) j CROSS JOIN {table} v ON v.product_number = j.value "
            f"WHERE v.encoder_number = {_ASKED} AND v.pattern = :pattern",
            digest,
            pattern,
        ):
            for number, encoder, version, checksum, blob in rows:
                key = (encoder, int(pattern), version)
                if problem := find_vector_problem(blob, key, checksum, dimension):
                    self._guard.set_aside(number, problem)
                    continue
                vectors[count] = np.frombuffer(blob, dtype=np.float16)
                columns[count] = number, version, checksum
                count += 1
        return _table(columns[:count], vectors[:count])

    def further_table(
        self, numbers: npt.NDArray[np.int64], digest: str, pattern: Pattern, dimension: int
    ) -> VectorTable:
        """Does what `table` does, for the vectors of the further photos of some products."""
        tables = [_table(np.empty((0, 3), dtype=np.int64), np.empty((0, dimension), np.float16))]
        for rows in self._blocks(
            numbers,
            f"SELECT f.product_number, {_FURTHER_VERSION}, f.photo_number, f.checksum, "
            "f.image_vector, v.checksum, v.vector FROM json_each(:numbers) j "
            "CROSS JOIN further_photos f ON f.product_number = j.value "
            "CROSS JOIN {table} v USING (product_number, encoder_number) "
            f"WHERE f.encoder_number = {_ASKED} AND v.pattern = :pattern",
            digest,
            pattern,
        ):
            columns, vectors = [], bytearray()
            for number, version, photo, checksum, half, vector_checksum, vector in rows:
                problem = find_photo_problem(half, photo, vector_checksum, checksum)
                if problem or not isinstance(vector, bytes) or len(vector) != 2 * dimension:
                    self._guard.set_aside(number, problem or "its vector is too short or too long")
                    continue
                columns.append((number, version, checksum))
                vectors += half + vector[len(half) :]
            tables.append(
                _table(
                    np.array(columns, dtype=np.int64).reshape(-1, 3),
                    np.frombuffer(vectors, dtype=np.float16).reshape(-1, dimension),
                )
            )
        return VectorTable.joined(tables)

    def further_counts(self) -> Counter[str]:
        """Counts the further photos of all products by the digest of the encoder."""
        rows = self._connections.own.execute(
            "SELECT e.digest, count(*) FROM further_photos JOIN encoders e USING (encoder_number) "
            "GROUP BY encoder_number"
        )
        return Counter(dict(rows))

    def _keys(self, statement: str, digest: str, pattern: Pattern) -> VectorKeys:
        rows = self._connections.own.execute(
            f"{statement} ORDER BY product_number, version", {"digest": digest, "pattern": pattern}
        )
        # Block by block: to take a list, numpy holds the interpreter's lock.
        blocks = [np.empty((0, 3), dtype=np.int64)]
        while block := rows.fetchmany(_BLOCK_SIZE):
            found = np.array(block)
            if found.dtype != np.int64:
                found = np.array(self._whole(block), dtype=np.int64).reshape(-1, 3)
            blocks.append(found)
        numbers, versions, checksums = np.concatenate(blocks).T
        return VectorKeys(product_numbers=numbers, vector_versions=versions, checksums=checksums)

    def _whole(self, block: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Leaves out rows in which a damaged file has no whole numbers any more."""
        whole = []
        for row in block:
            if all(type(value) is int for value in row):
                whole.append(row)
            elif type(row[0]) is int:
                self._guard.set_aside(row[0], "its entry in an index of the file is damaged")
            else:
                logger.error("an entry in an index of the file is damaged: %r", row)
        return whole

    def _blocks(
        self, numbers: npt.NDArray[np.int64], statement: str, digest: str, pattern: Pattern
    ) -> Iterator[sqlite3.Cursor]:
        """Yields what a statement reads of `{table}`, from both tables, block by block."""
        both = " UNION ALL ".join(statement.format(table=table) for table in VECTOR_TABLES)
        for start in range(0, len(numbers), _BLOCK_SIZE):
            block = json.dumps(numbers[start : start + _BLOCK_SIZE].tolist())
            asked = {"digest": digest, "pattern": pattern, "numbers": block}
            yield self._connections.own.execute(both, asked)


def _table(columns: npt.NDArray[np.int64], vectors: npt.NDArray[np.float16]) -> VectorTable:
    numbers, versions, checksums = columns.T
    return VectorTable(
        product_numbers=numbers, vector_versions=versions, checksums=checksums, vectors=vectors
    )
