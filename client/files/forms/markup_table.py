"""Tables in markup, row by row: of web pages, of Excel's XML of 2003 and of OpenDocument."""

from __future__ import annotations

import io
import re
from codecs import lookup
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from twinshelf.client.files.forms.header import (
    ColumnOrder,
    count_named,
    count_preamble,
    unique_names,
)
from twinshelf.client.files.forms.stored_bytes import open_bytes
from twinshelf.client.files.forms.text_encoding import find_encoding
from twinshelf.client.files.forms.text_rows import LONGEST_ROW_CHARACTERS
from twinshelf.client.files.rows import ProductFileError

_BLOCK_CHARACTERS = 1 << 16
# The tables of a file are told by what stands in its first part, each by its first rows.
_SAMPLE_CHARACTERS = 16 * 1024 * 1024
_HEADER_ROWS = 20
# A list of choices or a menu names fewer, and a wider table is not the better one.
_ENOUGH_FIELDS = 3
_MOST_COLUMNS = 16_384  # of Excel itself
_MOST_REPEATED_ROWS = 1000
_ROWS = frozenset(("tr", "row", "table-row"))
_CELLS = frozenset(("td", "th", "cell", "table-cell", "covered-table-cell"))
_PARTING = frozenset("br p div li ul ol h1 h2 h3 h4 h5 h6".split())
# What stands in a cell and is none of its text.
_UNREAD = frozenset("script style annotation comment".split())
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_KINDS = {b"urn:schemas-microsoft-com:office:spreadsheet": "Excel's XML", b"opendocument": "ODS"}
Row = list[object]


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
    encoding: str
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


def open_markup(path: Path, *, has_header: bool) -> MarkupTable:
    """Finds the table whose header names most fields, and those with the same header.

    Args:
        path: The file; may be compressed.
        has_header: Whether a row names the columns; else they are called by their numbers.

    Raises:
        ProductFileError: If it holds no table.
    """
    with open_bytes(path) as file:
        start = file.read(4096)
    encoding = _encoding_of(path, start)
    first_rows: dict[str, list[list[str]]] = {}
    for name, _, row in _rows(path, encoding, _SAMPLE_CHARACTERS):
        rows = first_rows.setdefault(name, [])
        if len(rows) < _HEADER_ROWS:
            rows.append([str(cell) for cell in row])
    places = {name: count_preamble(rows) for name, rows in first_rows.items()}
    headers = {name: rows[places[name]] for name, rows in first_rows.items()}
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


def _encoding_of(path: Path, start: bytes) -> str:
    """What a file is written in: an old encoding is the one that it declares, where it does."""
    found = find_encoding(path).name
    declared = _CHARSET.search(start)
    if found.startswith("utf") or declared is None:
        return "utf-8-sig" if found == "utf-8" else found
    try:
        name = lookup(declared[1].decode()).name
    except LookupError:
        return found
    return found if name.startswith("utf") else name


def _rows(path: Path, encoding: str, most: int = 0) -> Iterator[tuple[str, int, Row]]:
    """Yields the name of a table, the number of a row in it, and its cells."""
    parser = _Parser()
    with io.TextIOWrapper(open_bytes(path), encoding=encoding, errors="replace") as file:
        read_count = 0
        while block := file.read(_BLOCK_CHARACTERS):
            try:
                parser.feed(block)
            except AssertionError as error:  # Python's own parser: "<![x" is no markup
                raise ProductFileError(f"{path} breaks off: {error}") from None
            read_count += len(block)
            yield from parser.taken()
            if parser.is_too_long():
                raise ProductFileError(f"{path} holds a row of more than 16 million characters")
            if most and read_count >= most:
                return
    parser.close()
    parser.close_all()
    yield from parser.taken()


@dataclass(slots=True)
class _Cell:
    """A cell that is read.

    Attributes:
        column_count: Columns that it spans; only the first holds its text.
        row_count: Rows that it spans; each holds its text.
        repeated_count: How often it stands there.
        value: A number as the program keeps it, before what it shows.
    """

    column_count: int
    row_count: int
    repeated_count: int
    value: str
    texts: list[str] = field(default_factory=list)
    photos: list[str] = field(default_factory=list)

    def content(self) -> str:
        text = " ".join("".join(self.texts).split())
        if self.value and not text.isdecimal():
            return self.value
        return text or " ".join(self.photos)


@dataclass(slots=True)
class _OpenTable:
    """A table that is read, and the row and the cell of it that are."""

    name: str
    row_count: int = 0
    row: list[object] | None = None
    repeated_count: int = 1
    cell: _Cell | None = None
    # Of cells that span rows the column, the rows that are left, and the text.
    spans: dict[int, tuple[int, str]] = field(default_factory=dict)

    def fill_spans(self) -> None:
        """Puts what stands in rows above, and spans this one, before the next cell."""
        while self.row is not None and len(self.row) in self.spans:
            self.fill_column()

    def fill_column(self) -> None:
        """Puts what spans this row, or nothing, into the next column."""
        if self.row is None or len(self.row) == _MOST_COLUMNS:
            return
        left, text = self.spans.pop(len(self.row), (0, ""))
        if left > 1:
            self.spans[len(self.row)] = (left - 1, text)
        self.row.append(text)


class _Parser(HTMLParser):
    """Collects the rows of tables, also of those within another and without closing tags."""

    def __init__(self) -> None:
        super().__init__()
        self._tables: list[_OpenTable] = []
        self._rows: list[tuple[str, int, Row]] = []
        self._names: list[str] = []
        self._sheet = ""
        self._unread_depth = 0

    def taken(self) -> list[tuple[str, int, Row]]:
        """Hands over the rows that are complete."""
        rows, self._rows = self._rows, []
        return rows

    def is_too_long(self) -> bool:
        """Whether a tag or a row never ends."""
        cell = self._tables[-1].cell if self._tables else None
        text_length = sum(map(len, cell.texts)) if cell else 0
        return len(self.rawdata) + text_length > LONGEST_ROW_CHARACTERS

    def close_all(self) -> None:
        """Ends what the file leaves open."""
        while self._tables:
            self._end_table()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = tag.rpartition(":")[2]
        told = {key.rpartition(":")[2]: value or "" for key, value in attrs}
        if name in _UNREAD:
            self._unread_depth += 1
        elif name == "worksheet":
            self._sheet = told.get("name", "")
        elif name == "table":
            wanted = told.get("name") or self._sheet
            self._sheet = ""
            number = str(len(self._names) + 1)
            self._names.append(number if not wanted or wanted in self._names else wanted)
            self._tables.append(_OpenTable(self._names[-1]))
        elif self._tables:
            self._start_within(self._tables[-1], name, told)

    def _start_within(self, table: _OpenTable, name: str, told: dict[str, str]) -> None:
        if name in _ROWS:
            self._end_row(table)
            table.row = []
            table.repeated_count = _number(told, "number-rows-repeated", _MOST_REPEATED_ROWS)
        elif name in _CELLS:
            self._end_cell(table)
            if table.row is None:  # a page may leave its start out
                table.row, table.repeated_count = [], 1
            repeated_count = _number(told, "number-columns-repeated", _MOST_COLUMNS)
            if name == "covered-table-cell":
                for _ in range(repeated_count):
                    table.fill_column()
                return
            table.fill_spans()
            # Excel's XML leaves cells out that are empty, and numbers the next.
            missing = _number(told, "index", _MOST_COLUMNS) - 1 - len(table.row)
            table.row += [""] * missing
            table.cell = _Cell(
                column_count=_number(told, "colspan", _MOST_COLUMNS)
                + _number(told, "mergeacross", _MOST_COLUMNS, 0),
                row_count=max(
                    _number(told, "rowspan", _MOST_COLUMNS),
                    _number(told, "number-rows-spanned", _MOST_COLUMNS),
                    _number(told, "mergedown", _MOST_COLUMNS, 0) + 1,
                ),
                repeated_count=repeated_count,
                value=told.get("value", "") * (told.get("value-type") in ("float", "currency")),
            )
        elif table.cell is not None:
            if name == "img" and not told.get("src", "data:").startswith("data:"):
                table.cell.photos.append(told["src"])
            table.cell.texts += [" "] * (name in _PARTING)

    def handle_endtag(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        if name in _UNREAD:
            self._unread_depth = max(0, self._unread_depth - 1)
        elif not self._tables:
            return
        elif name == "table":
            self._end_table()
        elif name in _ROWS:
            self._end_row(self._tables[-1])
        elif name in _CELLS:
            self._end_cell(self._tables[-1])
        elif name in _PARTING and (cell := self._tables[-1].cell) is not None:
            cell.texts.append(" ")

    def handle_data(self, data: str) -> None:
        cell = self._tables[-1].cell if self._tables else None
        if cell is not None and not self._unread_depth:
            cell.texts.append(data)

    def _end_cell(self, table: _OpenTable) -> None:
        cell, table.cell = table.cell, None
        if cell is None or table.row is None:
            return
        contents = [cell.content(), *[""] * (cell.column_count - 1)]
        for _ in range(cell.repeated_count):
            for content in contents[: _MOST_COLUMNS - len(table.row)]:
                if cell.row_count > 1:
                    table.spans[len(table.row)] = (cell.row_count - 1, content)
                table.row.append(content)

    def _end_row(self, table: _OpenTable) -> None:
        self._end_cell(table)
        table.fill_spans()
        row, table.row = table.row, None
        while row and not row[-1]:
            row.pop()
        for _ in range(table.repeated_count if row else 0):
            self._rows.append((table.name, table.row_count, list(row or ())))
            table.row_count += 1

    def _end_table(self) -> None:
        self._end_row(self._tables[-1])
        self._tables.pop()


def _number(told: dict[str, str], name: str, most: int, default: int = 1) -> int:
    """A count that a tag gives; the default where it is none."""
    if name not in told:  # as most
        return default
    text = told[name]
    return min(int(text), most) if text.isdecimal() and len(text) < 10 else default
