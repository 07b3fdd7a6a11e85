"""Text tables: cells between delimiters, with strict quotes, so that none swallows a row."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from twinshelf.client.files.column_names import USUAL_NAMES, plain_name
from twinshelf.client.files.header import (
    count_comments,
    count_named,
    count_preamble,
    is_ruled,
    unique_names,
)
from twinshelf.client.files.rows import ProductFileError, TableForm
from twinshelf.client.files.stored_bytes import open_bytes
from twinshelf.client.files.text_encoding import FoundEncoding, find_encoding, mended

DELIMITERS = ",;\t|#^~\x01\x1f"
# Longer than any description; it bounds what one row can take of the memory.
LONGEST_ROW_CHARACTERS = 16 * 1024 * 1024
_MOST_LINES_IN_ROW = 10_000
_SAMPLE_LINES = 100
_SAMPLE_CHARACTERS = 1 << 20
_MOST_HEADER_LINES = 10
_HALVES = "twinshelf.halves"
_FORMULA_TEXT = re.compile(r'^="([^"]*)"$')
_DELIMITER_LINE = re.compile(r"sep=(.)[\r\n]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DelimitedText:
    """A text table whose form is known.

    Attributes:
        path: The file.
        encoding: Its encoding.
        delimiter: The character between cells.
        header: Names of the columns; "1", "2" and so on where the file names none.
        has_header: Whether the first row is the header.
        quote: What stands round cells that hold a delimiter.
        skipped_line_count: Lines before the header: the delimiter's name, as Excel's "sep=;", or
            what the report is called.
    """

    path: Path
    encoding: FoundEncoding
    delimiter: str
    header: tuple[str, ...]
    has_header: bool
    quote: str = '"'
    skipped_line_count: int = 0

    def rows(self) -> Iterator[list[str] | str]:
        """Yields the cells of each row, or why the row cannot be read.

        Raises:
            ProductFileError: If the file breaks off, or is not in its encoding.
        """
        with _opened(self.path, self.encoding.name) as file:
            for _ in range(self.skipped_line_count):
                file.readline()
            rows = _Rows(file, self.delimiter, len(self.header), self.quote)
            rows.line_number += self.skipped_line_count
            records = iter(rows)
            if self.has_header:
                next(records, None)
            try:
                for cells in records:
                    if isinstance(cells, str):
                        yield cells
                    elif not self._says_nothing(cells):
                        yield self._fitted(cells, rows)
            except (OSError, UnicodeError) as error:
                raise ProductFileError(
                    f"{self.path} cannot be read as {self.encoding.name}, "
                    f"line {rows.line_number + 1}: {error}; --encoding names another"
                ) from error

    def _says_nothing(self, cells: list[str]) -> bool:
        """Whether a row is empty, ruled, or the header of a file that was joined to another."""
        filled = [cell for cell in cells if cell.strip()]
        if all(map(is_ruled, filled)):
            return True
        # The first cell tells of most rows that they are none.
        if not self.has_header or filled[0].strip('\ufeff "') not in self.header[0]:
            return False
        return unique_names([self._mended(cell).strip() for cell in cells]) == self.header

    def _mended(self, cell: str) -> str:
        return mended(cell, self.encoding.of_broken)

    def _fitted(self, cells: list[str], rows: _Rows) -> list[str] | str:
        """Fills up a short row; a long one has lost its columns unless its surplus is empty."""
        expected = len(self.header)
        if expected == 1:  # nothing parts the header: what would part a row is its text
            return [self._mended(self.delimiter.join(cells))]
        if len(cells) > expected and any(cell.strip() for cell in cells[expected:]):
            return (
                f"line {rows.first_line_number}: has {len(cells)} cells; the header names "
                f"{expected}: put cells that hold {self.delimiter!r} in quotes"
            )
        return [self._mended(cell) for cell in cells[:expected]] + [""] * (expected - len(cells))


def open_delimited(path: Path, form: TableForm) -> DelimitedText:
    """Finds the form of a text table.

    Args:
        path: The file; may be compressed.
        form: What is known of its form.

    Raises:
        ProductFileError: If the file is empty or cannot be read.
    """
    encoding = find_encoding(path, form.encoding)
    sample: list[str] = []
    with _opened(path, encoding.name) as file:
        try:
            while len(sample) < _SAMPLE_LINES and (line := file.readline(_SAMPLE_CHARACTERS)):
                sample.append(line)
                if sum(map(len, sample)) >= _SAMPLE_CHARACTERS:
                    break
        except (OSError, UnicodeError) as error:
            raise ProductFileError(f"{path} cannot be read as {encoding.name}: {error}") from error
    if not any(line.strip() for line in sample):
        raise ProductFileError(f"{path} is empty; expected a header with column names")
    start = count_comments(sample)
    named = _DELIMITER_LINE.fullmatch(sample[start])
    start += named is not None
    delimiter = form.delimiter or (named[1] if named else find_delimiter(sample[start:]))
    if not named:
        rows, line_counts = _first_rows(sample[start:], delimiter)
        start += sum(line_counts[: count_preamble(rows)])
    quote = _find_quote(sample[start:])
    text = io.StringIO("".join(sample[start:]), newline="")
    first = next(iter(_Rows(text, delimiter, 0, quote)))
    if isinstance(first, str):
        raise ProductFileError(f"the header of {path} cannot be read: {first}")
    if len(first) == 1 and not form.delimiter and _is_of_fixed_widths(sample[start:]):
        raise ProductFileError(
            f"{path} is a table of fixed widths, parted by blanks; save it with commas or tabs"
        )
    if form.has_header and _has_row_names(sample[start:], delimiter, first, quote):
        first = ["", *first]
    return DelimitedText(
        path=path,
        encoding=encoding,
        delimiter=delimiter,
        header=unique_names(
            [mended(name, encoding.of_broken).strip() * form.has_header for name in first]
        ),
        has_header=form.has_header,
        quote=quote,
        skipped_line_count=start,
    )


def _find_quote(lines: list[str]) -> str:
    """The quote: a single one only where each line behind the header begins and ends with it."""
    texts = [text for line in lines if (text := line.strip())][1:]
    is_single = all(len(text) > 1 and text[0] == text[-1] == "'" for text in texts)
    return "'" if texts and is_single else '"'


def _first_rows(lines: list[str], delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Rows of cells and how many lines each has: a name in quotes may go over several."""
    alone = [line.split(delimiter) for line in lines], [1] * len(lines)
    reader = csv.reader(lines, delimiter=delimiter)
    rows, ends = [], [0]
    try:
        for row in reader:
            rows.append(row)
            ends.append(reader.line_num)
    except csv.Error:
        return alone
    counts = [end - start for start, end in itertools.pairwise(ends)]
    # Of more lines a quote is never closed.
    return (rows, counts) if 1 < max(counts, default=1) <= _MOST_HEADER_LINES else alone


def _is_of_fixed_widths(lines: list[str]) -> bool:
    """Whether blanks part each line into as many cells as the header has, three or more."""
    counts = [len(re.split(r"\s{2,}", line.strip())) for line in lines if line.strip()]
    return len(counts) > 1 and counts[0] > 2 and counts.count(counts[0]) > 0.8 * len(counts)


def _has_row_names(lines: list[str], delimiter: str, header: list[str], quote: str) -> bool:
    """Whether each row has one cell more than the header, as R writes the names of rows.

    A delimiter in each row's title or price, without quotes, gives as many: the names of rows are
    all different and without blanks, and under a name of identifiers stand some.
    """
    text = io.StringIO("".join(lines), newline="")
    rows = list(_Rows(text, delimiter, len(header), quote))[1:]
    cells = [row for row in rows if not isinstance(row, str)]
    if len(header) < 2 or {len(row) for row in cells} != {len(header) + 1}:
        return False
    names = [row[0] for row in cells]
    if len(set(names)) < len(names) or any(" " in name.strip() for name in names):
        return False
    are_identifiers = all(any(map(str.isdigit, row[1])) and " " not in row[1] for row in cells)
    is_named = plain_name(header[0]) in USUAL_NAMES["product_id"]
    return any(row[-1].strip() for row in cells) and (are_identifiers or not is_named)


def find_delimiter(lines: list[str]) -> str:
    """Finds the delimiter under which most rows have the header's count of cells, two or more.

    Args:
        lines: The first lines of the table.

    Returns:
        The delimiter; a comma when no character parts the header.
    """

    def fitness(delimiter: str) -> tuple[float, int, int]:
        """How many rows agree with the header, how many columns there are, where the header is."""
        rows = _Rows(io.StringIO("".join(lines), newline=""), delimiter, 0)
        read = [cells for cells in rows if not isinstance(cells, str)]
        read = [cells for cells in read if not all(map(is_ruled, filter(str.strip, cells)))]
        start = count_preamble(read)
        header = read[start] if read else []
        width = max((place for place, cell in enumerate(header, 1) if cell.strip()), default=0)
        if len(header) < 2 or not width:
            return 0.0, 0, 0
        # Some programs end each row with a delimiter, or the header alone.
        fits = [
            len(cells) == len(header) or (len(cells) >= width and not any(cells[width:]))
            for cells in read[start:]
        ]
        agreeing = sum(fits) / len(fits)
        # A header of many columns parts better than one of two that happens to agree more often.
        return round(agreeing, 1) if agreeing >= 0.5 else agreeing / 10, width, -start

    found = {delimiter: fitness(delimiter) for delimiter in DELIMITERS}
    in_first_line = {each: fit for each, fit in found.items() if fit[0] >= 0.5 and not fit[2]}
    return max(in_first_line or found, key=found.__getitem__)


def form_of(text: str) -> str:
    """What a text looks like: "9" for digits and "a" for letters, however many: "SKU-17" is a-9."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text))


def _pass_or_replace(error: UnicodeError) -> tuple[str | bytes, int]:
    """Lets half an emoji stand; a last odd byte is replaced."""
    try:
        return codecs.lookup_error("surrogatepass")(error)
    except UnicodeDecodeError as broken:
        return "\ufffd", broken.end


codecs.register_error(_HALVES, _pass_or_replace)


def _opened(path: Path, encoding: str) -> io.TextIOWrapper:
    name = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    errors = "surrogateescape" if name.startswith("utf-8") else "replace"
    if name.startswith("utf-16"):  # half an emoji stands; read as something else, all is wrong
        errors = _HALVES
    return io.TextIOWrapper(open_bytes(path), encoding=name, errors=errors, newline="")


class _Rows:
    """Cells of each row of a text; a row whose quotes are broken costs no other row."""

    def __init__(self, file: io.TextIOBase, delimiter: str, width: int, quote: str = '"') -> None:
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
            elif self._quote not in line:
                text = line.rstrip("\r\n")
                if text.strip():  # an empty line is no row
                    yield self._parted(text)
            else:
                yield self._quoted(line)

    def _parted(self, text: str) -> list[str]:
        """The cells of a line without quotes; a backslash may stand before a delimiter in one."""
        cells = text.split(self._delimiter)
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
            return self._mended(line, str(error))
        if len(cells) != self._width > 0 and f"\\{self._quote}" in line:
            mended = self._mended(line, "")
            if len(mended) == self._width:
                return mended
            self._give_back()
            return cells
        if len(self._taken) > 1 and self._has_swallowed_rows(cells):
            return self._unquoted(line, "its quote closes in another row")
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

    def _mended(self, line: str, reason: str) -> list[str] | str:
        """Reads a line of other programs.

        A backslash may stand before a quote, a blank behind one, and quotes within quotes that are
        not doubled: then the cells are those between quote, delimiter and quote.
        """
        self._give_back()
        self._taken = [line]
        text, quote = line.strip(), self._quote
        closed = re.sub(rf"{quote}[ \t]+(?={re.escape(self._delimiter)}|$)", quote, text)
        tries = (
            (line, "\\") if f"\\{quote}" in line else None,
            (closed, None) if closed != text else None,
        )
        for each in filter(None, tries):
            with suppress(csv.Error):
                return next(self._reader([each[0]], escape=each[1]))
        cells = text[1:-1].split(f"{quote}{self._delimiter}{quote}")
        if len(cells) == self._width > 1 and text[0] == text[-1] == quote:
            return [cell.replace(2 * quote, quote) for cell in cells]
        return self._unquoted(line, reason)

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
        if reason == "unexpected end of data":
            reason = "it is never closed"
        else:
            reason = f"more follows behind its end; a {self._quote} within a cell is written twice"
        return f"line {self.first_line_number}: a quote is opened and not rightly closed: {reason}"
