"""The rows that a reader gives, as its tests look at them."""

from collections.abc import Iterable
from typing import TypeVar

from twinshelf.client.files.rows import BadRow

Row = TypeVar("Row")


def good_rows(rows: Iterable[Row | BadRow]) -> list[Row]:
    """Reads all rows; a bad one fails the test."""
    read = list(rows)
    assert not bad_rows(read)
    return [row for row in read if not isinstance(row, BadRow)]


def bad_rows(rows: Iterable[object]) -> list[BadRow]:
    """Reads all rows and keeps the bad ones."""
    return [row for row in rows if isinstance(row, BadRow)]
