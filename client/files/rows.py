"""What a table is made of before anything is known of products: rows of cells, or why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class ProductFileError(ValueError):
    """A file that cannot be read at all; the message says what was expected."""


class MissingFileError(ProductFileError, FileNotFoundError):
    """There is no such file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableForm:
    """What the user says of a table's form; what is left out is found.

    Attributes:
        delimiter: The character between the cells of a text table; empty to find it.
        encoding: Python's name of the text's encoding; empty to find it.
        has_header: Whether the first row names the columns; else they are named "1", "2" and so on.

    Raises:
        ValueError: If the delimiter is longer than one character, or there is no such encoding.
    """

    delimiter: str = ""
    encoding: str = ""
    has_header: bool = True

    def __post_init__(self) -> None:
        if len(self.delimiter) > 1 or self.delimiter in ('"', "\n", "\r"):
            raise ValueError(
                f"the delimiter must be one character, such as ';' or a tab, got {self.delimiter!r}"
            )
        try:
            "".encode(self.encoding or "utf-8")
        except LookupError:
            raise ValueError(
                f"there is no encoding {self.encoding!r}; give one such as utf-8, cp1252, utf-16"
            ) from None


FOUND_FORM = TableForm()


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        source: File or folder it came from.
        row_number: Number of the row, counted from 1, the header of a table not counted.
        reason: What was wrong and what was expected, as one sentence without a full stop.
    """

    source: str
    row_number: int
    reason: str

    def __str__(self) -> str:
        return f"{self.source}, row {self.row_number}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The first and only text of a row that has several columns.

    Attributes:
        text: The text.
        is_alone: Whether no number stands beside it.
    """

    text: str
    is_alone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One row of a file.

    Attributes:
        source: Name of the file.
        row_number: Number of the row, counted from 1, the header not counted.
        cells: Column name to value: strings from text, any type from Parquet, JSON and Excel, None
            when absent.
        label: What the row says when it holds numbers and blanks besides, as a total does.
    """

    source: str
    row_number: int
    cells: Mapping[str, object]
    label: Label | None = None

    def refuse(self, reason: str) -> BadRow:
        """Makes the report that this row cannot be used."""
        return BadRow(source=self.source, row_number=self.row_number, reason=reason)
