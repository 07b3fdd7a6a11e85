"""Rows by rising number, of which Milvus has no notion: it sorts by keys alone.

Counting is quick, so the span that holds as many rows as are wanted is found by counts, and its
rows are sorted here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twinshelf.server.catalogue.milvus.connection import MOST_ROWS, Level, MilvusConnection, Row
from twinshelf.server.errors import CatalogueUnavailableError

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
        level: How fresh the rows are; None for what matching asks for. Counts never wait for it.

    Raises:
        CatalogueUnavailableError: If there are more than were counted, as where Milvus shows a part
            of what it holds.
    """
    start, end = span
    wanted_count = max(count, 1)

    def counted(high: int) -> int:
        """Counts the rows up to a number."""
        return connection.count(collection, _between(field, (start, high), condition))

    rows: list[Row] = []
    while start < end and not rows:
        high = _end_of_page(counted, (start, end), wanted_count)
        inside = _between(field, (start, high), condition)
        rows = connection.query(collection, inside, fields, level=level)
        start = high  # all that was counted may have got other numbers since
    rows.sort(key=lambda row: row[field])
    if len(rows) == MOST_ROWS and rows[0][field] < rows[-1][field]:
        raise CatalogueUnavailableError("Milvus counts fewer rows than it has; repeat")
    return _cut(rows, field, wanted_count)


def _end_of_page(counted: Callable[[int], int], span: tuple[int, int], wanted_count: int) -> int:
    """Returns a number up to which there are as many rows as are wanted, or hardly more."""
    low, high = span
    found_count = counted(high)
    is_even = True
    while found_count > _READ_PER_WANTED * wanted_count + _LEAST_READ and high - low > 1:
        # As if they lay evenly, and every other time whatever they do.
        share = (wanted_count + _LEAST_READ) / found_count if is_even else 0.5
        is_even = not is_even
        middle = low + min(max(int((high - low) * share), 1), high - low - 1)
        middle_count = counted(middle)
        if middle_count < wanted_count:
            low = middle
        else:
            high, found_count = middle, middle_count
    return high


def _between(field: str, span: tuple[int, int], condition: str) -> str:
    """Returns the condition for a span."""
    return f"{field} > {span[0]} and {field} <= {span[1]} and ({condition})"


def greatest(
    connection: MilvusConnection, collection: str, field: str, span: tuple[int, int]
) -> int:
    """Returns the greatest number of a span (above the first), or the first without any."""
    low, high = span

    def inside(least: int) -> str:
        """Returns the condition for what lies above a number."""
        return f"{field} > {least} and {field} <= {high}"

    while high - low > 1 and connection.count(collection, inside(low)) > _LEAST_READ:
        middle = (low + high) // 2
        if connection.count(collection, inside(middle)):
            low = middle
        else:
            high = middle
    rows = connection.query(collection, inside(low), [field])
    return max((int(row[field]) for row in rows), default=low)


def _cut(rows: list[Row], field: str, count: int) -> list[Row]:
    end = count
    while 0 < end < len(rows) and rows[end][field] == rows[end - 1][field]:
        end += 1
    return rows[:end]
