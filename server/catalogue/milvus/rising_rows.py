"""Rows by rising number, of which Milvus has no notion: it sorts by keys alone.

Counting is quick, so the span that holds as many rows as are wanted is found by counts, and its
rows are sorted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twinshelf.server.catalogue.milvus.connection import Level, MilvusConnection, Row

# A few rows that are read in vain cost less than further counts.
_READ_PER_WANTED: Final = 2
_LEAST_READ: Final = 64


def rows_after(
    connection: MilvusConnection,
    collection: str,
    field: str,
    span: tuple[int, int],
    count: int,
    condition: str,
    fields: Sequence[str],
    *,
    level: Level | None = None,
) -> list[Row]:
    """Returns up to `count` rows by a rising number, those of equal numbers all or none.

    Args:
        connection: The connection.
        collection: Where.
        field: Name of the number, which is among `fields`.
        span: Numbers above the first and up to the second are looked at.
        count: Most rows, unless more than so many share one number.
        condition: What must hold for a row.
        fields: What is read of each.
        level: How fresh the rows are; None for what matching asks for.
    """

    def between(low: int, high: int) -> str:
        """Returns the condition for a span."""
        return f"{field} > {low} and {field} <= {high} and ({condition})"

    start, high = span
    low, wanted_count = start, max(count, 1)
    found_count = connection.count(collection, between(start, high), level=level)
    while found_count > _READ_PER_WANTED * wanted_count + _LEAST_READ and high - low > 1:
        middle = (low + high) // 2
        middle_count = connection.count(collection, between(start, middle), level=level)
        if middle_count < wanted_count:
            low = middle
        else:
            high, found_count = middle, middle_count
    rows = connection.query(collection, between(start, high), fields, level=level)
    rows.sort(key=lambda row: row[field])
    return _cut(rows, field, wanted_count)


def greatest(
    connection: MilvusConnection, collection: str, field: str, span: tuple[int, int]
) -> int:
    """Returns the greatest number of a span (above the first), or the first without any."""
    low, high = span
    while high - low > 1 and connection.count(collection, f"{field} > {low}") > _LEAST_READ:
        middle = (low + high) // 2
        if connection.count(collection, f"{field} > {middle} and {field} <= {high}"):
            low = middle
        else:
            high = middle
    rows = connection.query(collection, f"{field} > {low} and {field} <= {high}", [field])
    return max((int(row[field]) for row in rows), default=low)


def _cut(rows: list[Row], field: str, count: int) -> list[Row]:
    end = count
    while 0 < end < len(rows) and rows[end][field] == rows[end - 1][field]:
        end += 1
    return rows[:end]
