"""Tables in markup, row by row: of web pages, of Excel's XML of 2003 and of OpenDocument."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinshelf.client.files.forms.header import (
    ColumnOrder,
    count_named,
    count_preamble,
    joined_header,
    unique_names,
)
from twinshelf.client.files.forms.markup_rows import MarkupRows, Row
from twinshelf.client.files.forms.stored_bytes import open_bytes
from twinshelf.client.files.forms.text_encoding import (
    FoundEncoding,
    errors_of,
    find_declared_encoding,
)
from twinshelf.client.files.forms.text_rows import LONGEST_ROW_CHARACTERS
from twinshelf.client.files.rows import ProductFileError

_BLOCK_CHARACTERS = 1 << 16
# The tables of a file are told by what stands in its first part, each by its first rows.
_SAMPLE_CHARACTERS = 16 * 1024 * 1024
_HEADER_ROWS = 20
# A list of choices or a menu names fewer, and a wider table is not the better one.
_ENOUGH_FIELDS = 3
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_KINDS = {b"urn:schemas-microsoft-com:office:spreadsheet": "Excel's XML", b"opendocument": "ODS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkupTable:
    """The tables of a file that have one header, read as one.

    Attributes:
        path: The file.
        encoding: Of its text.
        kind: What it is, in words: "web page".
        tables: Names of the tables that are read, or their numbers from 1.
        other_tables: Those that are not.
        header: Names of the columns.
        first_row: Number of the row of each table, from 0, where the products begin.
    """

    path: Path
    encoding: FoundEncoding
    kind: str
    tables: tuple[str, ...]
    other_tables: tuple[str, ...]
    header: tuple[str, ...]
    first_row: int

    def rows(self) -> Iterator[Row]:
        """Yields the cells of each row that has any.

        Raises:
            ProductFileError: If the file breaks off.
        """
        width = len(self.header)
        orders = {name: ColumnOrder(self.header) for name in self.tables}
        for name, number, row in _rows(self.path, self.encoding):
            if name in orders and number >= self.first_row and not orders[name].is_renamed(row):
                yield orders[name].ordered((row + [""] * width)[:width], "")


def open_markup(path: Path, *, has_header: bool, encoding_name: str = "") -> MarkupTable:
    """Finds the table whose header names most fields, and those with the same header.

    Args:
        path: The file; may be compressed.
        has_header: Whether a row names the columns; else they are called by their numbers.
        encoding_name: What the user says that it is written in; empty to find it.

    Raises:
        ProductFileError: If it holds no table.
    """
    with open_bytes(path) as file:
        start = file.read(4096)
    encoding = find_declared_encoding(path, _CHARSET, encoding_name)
    first_rows: dict[str, list[list[str]]] = {}
    for name, _, row in _rows(path, encoding, _SAMPLE_CHARACTERS):
        rows = first_rows.setdefault(name, [])
        if len(rows) < _HEADER_ROWS:
            rows.append([str(cell) for cell in row])
    places = {name: count_preamble(rows) for name, rows in first_rows.items()}
    headers = {name: rows[places[name]] for name, rows in first_rows.items()}
    for name, rows in first_rows.items():
        below = [*rows[places[name] + 1 :], []][0]
        above = headers[name] + [""] * (len(below) - len(headers[name]))  # a wide cell is the last
        if len(headers[name]) > 1 and (joined := joined_header(above, below)):
            headers[name], places[name] = [*joined], places[name] + 1
    wide = {name: header for name, header in headers.items() if len(header) > 1}
    kind = next((kind for sign, kind in _KINDS.items() if sign in start), "web page")
    if not wide:
        what = "a web page" if kind == "web page" else kind
        raise ProductFileError(f"{path} is {what} without a table of products; save them as CSV")
    chosen = max(wide, key=lambda name: min(count_named(wide[name]), _ENOUGH_FIELDS))
    tables = [n for n in wide if wide[n] == wide[chosen] and places[n] == places[chosen]]
    return MarkupTable(
        path=path,
        encoding=encoding,
        kind=kind,
        tables=tuple(tables if has_header else [chosen]),
        other_tables=tuple(name for name in wide if name not in tables),
        header=unique_names([cell * has_header for cell in wide[chosen]]),
        first_row=places[chosen] + has_header,
    )


def _rows(path: Path, encoding: FoundEncoding, most: int = 0) -> Iterator[tuple[str, int, Row]]:
    """Yields the name of a table, the number of a row in it, and its cells."""
    parser = MarkupRows()
    name, errors = "utf-8-sig" if encoding.name == "utf-8" else encoding.name, errors_of(encoding)
    with io.TextIOWrapper(open_bytes(path), encoding=name, errors=errors) as file:
        read_count = 0
        while block := file.read(_BLOCK_CHARACTERS):
            try:
                parser.feed(block)
            except AssertionError as error:  # Python's own parser: "<![x" is no markup
                raise ProductFileError(f"{path} breaks off: {error}") from None
            read_count += len(block)
            yield from parser.taken()
            if parser.length > LONGEST_ROW_CHARACTERS:
                raise ProductFileError(f"{path} holds a row of more than 16 million characters")
            if most and read_count >= most:
                return
    parser.close()
    parser.close_all()
    yield from parser.taken()
