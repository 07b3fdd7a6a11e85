"""Text tables: cells between delimiters, with strict quotes, so that none swallows a row."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinshelf.client.files.forms.blank_columns import find_blank_columns
from twinshelf.client.files.forms.header import (
    ColumnOrder,
    count_comments,
    count_preamble,
    is_ruled,
    joined_header,
    unique_names,
)
from twinshelf.client.files.forms.stored_bytes import open_bytes
from twinshelf.client.files.forms.text_encoding import FoundEncoding, find_encoding, mended
from twinshelf.client.files.forms.text_rows import TextRows
from twinshelf.client.files.names.plain_name import plain_name
from twinshelf.client.files.names.usual_names import USUAL_NAMES
from twinshelf.client.files.rows import ProductFileError, TableForm

DELIMITERS = ",;\t|#^~¦§│\x01\x1f"
_SAMPLE_LINES = 100
_SAMPLE_CHARACTERS = 1 << 20
_MOST_HEADER_LINES = 10
_HALVES = "twinshelf.halves"
# Rakuten's feeds begin with a record of the shop's, and end with one of the count of rows.
_RECORD_OF_SHOP = re.compile(r"HDR[|,;\t]")
_CELLS_OF_TRAILER = 2
# A header as R writes it, with blanks between the quotes.
_PARTED_BY_BLANKS = re.compile(r'"[^"]*"(?: "[^"]*")+\s*')
_NUMBER_ALONE = re.compile(r"[\d\s.,-]*")
_END_OF_DOS = "\x1a"  # behind the last line of a file
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
        has_comments: Whether lines before the header are comments, "# Section 1", as others then.
        starts: Where columns of fixed widths begin; empty where a delimiter parts them.
    """

    path: Path
    encoding: FoundEncoding
    delimiter: str
    header: tuple[str, ...]
    has_header: bool
    quote: str = '"'
    skipped_line_count: int = 0
    has_comments: bool = False
    starts: tuple[int, ...] = ()

    def rows(self) -> Iterator[list[str] | str]:
        """Yields the cells of each row, or why the row cannot be read.

        Raises:
            ProductFileError: If the file breaks off, or is not in its encoding.
        """
        with _opened(self.path, self.encoding.name) as file:
            for _ in range(self.skipped_line_count):
                file.readline()
            rows = TextRows(file, self.delimiter, len(self.header), self.quote, self.starts)
            rows.line_number += self.skipped_line_count
            records = iter(rows)
            if self.has_header:
                next(records, None)
            order = ColumnOrder(self.header)
            try:
                for cells in records:
                    if isinstance(cells, str):
                        yield cells
                    elif not order.is_renamed(cells) and not self._says_nothing(cells):
                        fitted = self._fitted(cells, rows)
                        yield fitted if isinstance(fitted, str) else order.ordered(fitted, "")
            except (OSError, UnicodeError) as error:
                raise ProductFileError(
                    f"{self.path} cannot be read as {self.encoding.name}, "
                    f"line {rows.line_number + 1}: {error}; --encoding names another"
                ) from error

    def _says_nothing(self, cells: list[str]) -> bool:
        """Whether a row is empty, ruled, or the header of a file that was joined to another."""
        filled = [cell for cell in cells if cell.strip().strip(_END_OF_DOS)]
        if all(map(is_ruled, filled)):  # or empty, in a table of fixed widths
            return True
        if len(filled) == _CELLS_OF_TRAILER and filled[0] == "TRL" and self.skipped_line_count:
            return True
        is_alone = len(filled) == 1 < len(self.header)
        if self.has_comments and is_alone and cells[0].startswith("#"):
            return True
        # The first cell tells of most rows that they are none.
        if not self.has_header or filled[0].strip('\ufeff "') not in self.header[0]:
            return False
        return unique_names([self._mended(cell).strip() for cell in cells]) == self.header

    def _mended(self, cell: str) -> str:
        return mended(cell, self.encoding.of_broken)

    def _fitted(self, cells: list[str], rows: TextRows) -> list[str] | str:
        """Fills up a short row; a long one has lost its columns unless its surplus is empty."""
        expected = len(self.header)
        if expected == 1:  # nothing parts the header: what would part a row is its text
            return [self._mended(self.delimiter.join(cells))]
        if len(cells) > expected:
            prose = _with_prose(cells, self.delimiter)
            cells = prose if len(prose) == expected else cells
        if len(cells) > expected and any(cell.strip() for cell in cells[expected:]):
            return (
                f"line {rows.first_line_number}: has {len(cells)} cells; the header names "
                f"{expected}: put cells that hold {self.delimiter!r} in quotes, or name each column"
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
    parting = _find_parting(path, sample, form)
    start, delimiter, starts = parting.line_count, parting.delimiter, parting.starts
    quote = _find_quote(sample[start:])
    text = io.StringIO("".join(sample[start:]), newline="")
    rows = TextRows(text, delimiter, 0, quote, starts)
    records = iter(rows)
    first, first_line_count = next(records, None), rows.line_number
    if first is None:
        raise ProductFileError(f"{path} is empty; expected a header with column names")
    if isinstance(first, str):
        raise ProductFileError(f"the header of {path} cannot be read: {first}")
    if form.has_header and (joined := _joined(first, next(records, ""))):
        first, start = joined, start + first_line_count
    elif form.has_header and not starts and _has_row_names(sample[start:], delimiter, first, quote):
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
        has_comments=count_comments(sample) > 0,
        starts=starts,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parting:
    """How many lines stand before the header, and what parts the cells."""

    line_count: int
    delimiter: str
    starts: tuple[int, ...] = ()


def _find_parting(path: Path, sample: list[str], form: TableForm) -> _Parting:
    start = count_comments(sample)
    start += len(sample) > start + 1 and _RECORD_OF_SHOP.match(sample[start]) is not None
    named = _DELIMITER_LINE.fullmatch(sample[start])
    if named:
        return _Parting(line_count=start + 1, delimiter=form.delimiter or named[1])
    by_blanks = " " if _PARTED_BY_BLANKS.fullmatch(sample[start]) else ""
    try:
        blank = None if form.delimiter or by_blanks else find_blank_columns(sample[start:])
    except ValueError as error:
        raise ProductFileError(f"{path} is {error}; save it with commas or tabs") from None
    if blank:
        return _Parting(line_count=start + blank.line_count, delimiter=" ", starts=blank.starts)
    delimiter = form.delimiter or by_blanks or find_delimiter(sample[start:])
    rows, line_counts = _first_rows(sample[start:], delimiter)
    return _Parting(
        line_count=start + sum(line_counts[: count_preamble(rows)]), delimiter=delimiter
    )


def _joined(first: list[str], second: list[str] | str) -> list[str]:
    """The names of a header of two rows; none where the second is none of names."""
    if isinstance(second, str):
        return []
    return [*joined_header([*map(str.strip, first)], [*map(str.strip, second)])]


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


def _with_prose(cells: list[str], delimiter: str) -> list[str]:
    """Joins what begins with a blank, as words behind a comma do, to the cell before it."""
    joined = cells[:1]
    for cell in cells[1:]:
        if cell.startswith(" ") and not _NUMBER_ALONE.fullmatch(cell):
            joined[-1] += delimiter + cell
        else:
            joined.append(cell)
    return joined


def _has_row_names(lines: list[str], delimiter: str, header: list[str], quote: str) -> bool:
    """Whether each row has one cell more than the header, as R writes the names of rows.

    A delimiter in each row's title or price, without quotes, gives as many: the names of rows are
    all different and without blanks, and under a name of identifiers stand some.
    """
    text = io.StringIO("".join(lines), newline="")
    rows = list(TextRows(text, delimiter, len(header), quote))[1:]
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
        rows = TextRows(io.StringIO("".join(lines), newline=""), delimiter, 0)
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
        if {len(cells) for cells in read[start + 1 :]} == {len(header) + 1}:
            agreeing = max(agreeing, 0.5)  # rows have names, or the last column has none
        # A header of many columns parts better than one of two that happens to agree more often.
        return round(agreeing, 1) if agreeing >= 0.5 else agreeing / 10, width, -start

    found = {delimiter: fitness(delimiter) for delimiter in DELIMITERS}
    in_first_line = {each: fit for each, fit in found.items() if fit[0] >= 0.5 and not fit[2]}
    return max(in_first_line or found, key=found.__getitem__)


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
