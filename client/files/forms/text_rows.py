"""The rows of a text table, with strict quotes: one whose quotes are broken costs no other row."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from twinshelf.client.files.forms.blank_columns import cells_of
from twinshelf.client.files.forms.header import count_named

# Longer than any description; it bounds what one row can take of the memory.
LONGEST_ROW_CHARACTERS = 16 * 1024 * 1024
_MOST_LINES_IN_ROW = 10_000
_FORMULA_TEXT = re.compile(r'^="([^"]*)"$')


def form_of(text: str) -> str:
    """What a text looks like: "9" for digits and "a" for letters, however many: "SKU-17" is a-9."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text))


class TextRows:
    """Cells of each row of a text; a row whose quotes are broken costs no other row."""

    def __init__(
        self,
        file: io.TextIOBase,
        delimiter: str,
        width: int,
        quote: str = '"',
        starts: Sequence[int] = (),
    ) -> None:
        """Reads from where the file stands.

        Args:
            file: The text.
            delimiter: The character between cells.
            width: How many cells the header has; 0 when that is not known.
            quote: What stands round cells that hold a delimiter.
            starts: Where columns of fixed widths begin, which no delimiter parts.
        """
        self._starts = starts
        # A quote within a cell is a sign like others, but in ="0012", as Excel takes texts.
        self._opens = re.compile(rf"(?:^|{re.escape(delimiter)})\s*=?{re.escape(quote)}")
        self._file = file
        self._delimiter = delimiter
        self._width = width
        self._quote = quote
        self._given_back: deque[str] = deque()
        self._taken: list[str] = []
        self.line_number = 0
        self.first_line_number = 0

    def __iter__(self) -> Iterator[list[str] | str]:
        csv.field_size_limit(LONGEST_ROW_CHARACTERS)
        while line := self._next_line():
            self.first_line_number = self.line_number
            if len(line) >= LONGEST_ROW_CHARACTERS:
                yield self._skip_line(line)
            elif self._starts:
                yield cells_of(line.rstrip("\r\n"), self._starts)
            elif self._quote not in line or not self._opens.search(line):
                text = line.rstrip("\r\n")
                if text.strip():  # an empty line is no row
                    yield self._parted(self._continued(text))
            else:
                yield self._quoted(line)

    def _continued(self, text: str) -> str:
        """Joins the lines of a row with a backslash before each of its line ends, as of MySQL."""
        while text.endswith("\\") and self._width > 1 and (line := self._next_line()):
            joined = text[:-1] + "\n" + line.rstrip("\r\n")
            is_row = len(self._parted(line)) >= self._width
            if is_row or self._quote in line or len(self._parted(joined)) > self._width:
                self._given_back.appendleft(line)
                self.line_number -= 1
                break
            text = joined
        return text

    def _parted(self, text: str) -> list[str]:
        """The cells of a line without quotes; a backslash may stand before a delimiter in one."""
        cells = text.split(None if self._delimiter == " " else self._delimiter)
        if len(cells) > self._width > 0 and f"\\{self._delimiter}" in text:
            return [
                cell.replace(f"\\{self._delimiter}", self._delimiter)
                for cell in re.split(rf"(?<!\\){re.escape(self._delimiter)}", text)
            ]
        return cells

    def _next_line(self) -> str:
        line = self._given_back.popleft() if self._given_back else self._read_line()
        self.line_number += bool(line)
        return line

    def _read_line(self) -> str:
        line = self._file.readline(LONGEST_ROW_CHARACTERS)
        return line.replace("\0", "") or "\n" if "\0" in line else line

    def _skip_line(self, line: str) -> str:
        while line and not line.endswith(("\n", "\r")):
            line = self._read_line()
        return f"line {self.line_number}: the row is longer than 16 million characters"

    def _quoted(self, line: str) -> list[str] | str:
        self._taken = []
        try:
            cells = next(self._reader(self._row_lines(line)))
        except csv.Error as error:
            if (mended := self._read_otherwise(line)) is not None:
                self._give_back()
                return mended
            mended = self._read_escaped(line) if f"\\{self._quote}" in line else None
            return self._unquoted(line, self._reason(error)) if mended is None else mended
        if len(cells) != self._width > 0 and f"\\{self._quote}" in line:
            mended = self._read_otherwise(line)
            if mended is not None and len(mended) == self._width:
                self._give_back()
                return mended
        if len(self._taken) > 1 and self._has_swallowed_rows(cells):
            return self._unquoted(line, "its quote closes in another row")
        if len(self._taken) > 1:
            cells = [cell.replace("\\\n", "\n") for cell in cells]
        if '="' in line:  # "=""0012""", so that Excel takes digits for a text
            cells = [_FORMULA_TEXT.sub(r"\1", cell) for cell in cells]
        return self._unwrapped(cells)

    def _unwrapped(self, cells: list[str]) -> list[str]:
        """The cells of a row that another program took for one cell: "1,Tea,5" in quotes.

        A header is one only where its parts name fields. It may have been filled up to the width of
        other rows: "id;title;price";;
        """
        wrapped, *others = cells
        if any(others) or (others and self._width) or any(end in wrapped for end in "\r\n"):
            return cells
        inner = next(csv.reader([wrapped], delimiter=self._delimiter), cells)
        if self._width:
            return inner if len(inner) == self._width else cells
        return inner if len(inner) >= len(cells) and count_named(inner) > 1 else cells

    def _reader(self, lines: Iterable[str], escape: str | None = None) -> Iterator[list[str]]:
        return csv.reader(
            lines,
            delimiter=self._delimiter,
            quotechar=self._quote,
            escapechar=escape,
            skipinitialspace=True,
            strict=True,
        )

    def _read_otherwise(self, line: str) -> list[str] | None:
        """Reads a line alone, as other programs write it; None where that gives no cells.

        A backslash may stand before a quote, a blank behind one, and quotes within quotes that are
        not doubled: then the cells are those between quote, delimiter and quote.
        """
        text, quote = line.strip(), self._quote
        closed = re.sub(rf"{quote}[ \t]+(?={re.escape(self._delimiter)}|$)", quote, text)
        tries = (
            (self._without_nulls(line), "\\") if f"\\{quote}" in line else None,
            (closed, None) if closed != text else None,
        )
        for each in filter(None, tries):
            with suppress(csv.Error):
                return next(self._reader([each[0]], escape=each[1]))
        cells = text[1:-1].split(f"{quote}{self._delimiter}{quote}")
        if len(cells) != self._width or text[0] != quote or text[-1] != quote:
            cells = self._closed_before_delimiters(text)
        if len(cells) == self._width > 1:
            return [cell.replace(2 * quote, quote) for cell in cells]
        return None

    def _closed_before_delimiters(self, text: str) -> list[str]:
        """The cells where a quote ends one before a delimiter alone: 5,"TV 65" OLED, black",600."""
        quote, delimiter = self._quote, re.escape(self._delimiter)
        cell = re.compile(rf"(?:{quote}(.*?){quote}|((?!{quote})[^{delimiter}]*))(?:{delimiter}|$)")
        cells, position = list[str](), 0
        while found := cell.match(text, position):
            cells.append(found[1] if found[2] is None else found[2])
            position = found.end()
            if position == len(text):
                return cells + [""] * (text[-1] == self._delimiter)
        return []

    def _without_nulls(self, line: str) -> str:
        """Empties what MySQL writes for NULL, which is no N behind an escape."""
        delimiter = re.escape(self._delimiter)
        return re.sub(rf"(^|{delimiter})\\N(?=\s*(?:{delimiter}|$))", r"\1", line)

    def _read_escaped(self, line: str) -> list[str] | None:
        """Reads a row of several lines in which a backslash stands before a quote, or None."""
        self._give_back()
        self._taken = []
        with suppress(csv.Error):
            cells = next(self._reader(self._row_lines(line), escape="\\"))
            if len(cells) == self._width and not self._has_swallowed_rows(cells):
                return cells
        return None

    def _row_lines(self, line: str) -> Iterator[str]:
        length = 0
        while line:
            self._taken.append(line)
            length += len(line)
            yield line
            if length > LONGEST_ROW_CHARACTERS or len(self._taken) > _MOST_LINES_IN_ROW:
                return
            line = self._next_line()

    def _has_swallowed_rows(self, cells: list[str]) -> bool:
        """Whether each line would be a row of its own, were there no quote."""
        *before, opened = next(csv.reader(self._taken[:1], delimiter=self._delimiter))
        if len(before) + len(opened.split(self._delimiter)) != self._width:
            return False
        rows = [next(csv.reader([line], delimiter=self._delimiter), []) for line in self._taken[1:]]
        if any(len(row) != self._width for row in rows):
            return False
        # Prose has a comma often enough: of two cells the first must look like the row's own.
        form = form_of(cells[0])
        return self._width > 2 or self._width == 2 and all(form_of(row[0]) == form for row in rows)

    def _give_back(self) -> None:
        self._given_back.extendleft(reversed(self._taken[1:]))
        self.line_number = self.first_line_number

    def _unquoted(self, line: str, reason: str) -> list[str] | str:
        """Gives the lines behind the first back. Tab-separated text knows cells without quotes."""
        self._give_back()
        text = line.rstrip("\r\n")
        literal = text.split(self._delimiter)
        if self._delimiter == "\t" and len(literal) == self._width:
            return literal
        literal = text.split(self._delimiter, self._width - 1)
        if len(literal) == self._width and literal[-1][:1] + literal[-1][-1:] in ("{}", "[]"):
            return literal  # JSON without quotes round it
        return f"line {self.first_line_number}: a quote is opened and not rightly closed: {reason}"

    def _reason(self, error: csv.Error) -> str:
        if str(error) == "unexpected end of data":
            return "it is never closed"
        return f"more follows behind its end; a {self._quote} within a cell is written twice"
