"""The rows of tables in markup, as a parser meets them: cells that span others, tables within."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from twinshelf.client.files.values.photos import LinkedText

# More has no product; a cell may say that it stands there any number of times.
_MOST_COLUMNS = 4096
_ROWS = frozenset(("tr", "row", "table-row"))
_CELLS = frozenset(("td", "th", "cell", "table-cell", "covered-table-cell"))
_PARTING = frozenset("br p div li ul ol h1 h2 h3 h4 h5 h6".split())
# What stands in a cell and is none of its text.
_UNREAD = frozenset("script style annotation comment".split())
Row = list[object]


@dataclass(slots=True)
class _Cell:
    """A cell that is read.

    Attributes:
        column_count: Columns that it spans; only the first holds its text.
        row_count: Rows that it spans; each holds its text.
        repeated_count: How often it stands there.
        value: A number as the program keeps it, before what it shows.
        link: Where its text leads.
    """

    column_count: int
    row_count: int
    repeated_count: int
    value: str
    link: str
    texts: list[str] = field(default_factory=list)
    photos: list[str] = field(default_factory=list)

    def content(self) -> str:
        """Returns the number that the program keeps, what the cell shows, or its photos."""
        text = " ".join("".join(self.texts).split())
        if self.value and not text.isdecimal():
            return self.value
        if text and self.link:
            return LinkedText(text, self.link)
        return text or " ".join(self.photos)


@dataclass(slots=True)
class _OpenTable:
    """A table that is read, and the row and the cell of it that are."""

    name: str
    row_count: int = 0
    row: list[object] | None = None
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


class MarkupRows(HTMLParser):
    """Collects the rows of tables, also of those within another and without closing tags."""

    def __init__(self) -> None:
        super().__init__()
        self._tables: list[_OpenTable] = []
        self._rows: list[tuple[str, int, Row]] = []
        self._names: set[str] = set()
        self._sheet = ""
        self._unread_depth = 0

    def taken(self) -> list[tuple[str, int, Row]]:
        """Hands over the rows that are complete."""
        rows, self._rows = self._rows, []
        return rows

    @property
    def length(self) -> int:
        """Characters of the tag or the cell that has not ended yet."""
        cell = self._tables[-1].cell if self._tables else None
        return len(self.rawdata) + (sum(map(len, cell.texts)) if cell else 0)

    def close_all(self) -> None:
        """Ends what the file leaves open."""
        while self._tables:
            self._end_table()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begins a table, a row, a cell, or what parts words within one."""
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
            own = number if not wanted or wanted in self._names else wanted
            self._names.add(own)
            self._tables.append(_OpenTable(own))
        elif self._tables:
            self._start_within(self._tables[-1], name, told)

    def _start_within(self, table: _OpenTable, name: str, told: dict[str, str]) -> None:
        if name in _ROWS:
            self._end_row(table)
            table.row = []  # once, though OpenDocument counts equal ones: they are one product
        elif name in _CELLS:
            self._end_cell(table)
            if table.row is None:  # a page may leave its start out
                table.row = []
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
                link=told.get("href", ""),
            )
        elif table.cell is not None:
            if name == "img" and not told.get("src", "data:").startswith("data:"):
                table.cell.photos.append(told["src"])
            elif name == "a":
                table.cell.link = table.cell.link or told.get("href", "")
            table.cell.texts += [" "] * (name in _PARTING)

    def handle_endtag(self, tag: str) -> None:
        """Ends what a tag begins."""
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
        """Adds a text to the cell that is open."""
        cell = self._tables[-1].cell if self._tables else None
        if cell is not None and not self._unread_depth:
            cell.texts.append(data)

    def _end_cell(self, table: _OpenTable) -> None:
        cell, table.cell = table.cell, None
        if cell is None or table.row is None:
            return
        contents = [cell.content(), *[""] * (cell.column_count - 1)]
        for _ in range(min(cell.repeated_count, _MOST_COLUMNS - len(table.row))):
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
        if row:
            self._rows.append((table.name, table.row_count, row))
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
