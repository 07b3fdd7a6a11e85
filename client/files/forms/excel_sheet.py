"""The sheets of products in an Excel workbook, row by row."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, BinaryIO

from twinshelf.client.files.forms.cell_links import CellLinks
from twinshelf.client.files.forms.cell_pictures import CellPictures
from twinshelf.client.files.forms.header import (
    ColumnOrder,
    count_named,
    count_preamble,
    joined_header,
    unique_names,
)
from twinshelf.client.files.forms.merged_cells import MergedCells
from twinshelf.client.files.names.columns import has_embedded
from twinshelf.client.files.rows import ProductFileError

MOST_UNPACKED_BYTES = 2 * 1024**3
# A workbook far above this ratio was made to fill a memory.
_MOST_RATIO = 50
_RATIO_COUNTS_FROM_BYTES = 256 * 1024**2
# A list of choices names fewer, and a wider archive is not the better sheet.
_ENOUGH_FIELDS = 3
# A header stands in these rows, below whatever title the sheet has.
_HEADER_ROWS = 20
_ROWS_LOOKED_AT = 200
_MOST_ROWS = 1 << 20  # of Excel itself: a file may number its rows as it likes
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_PICTURES = "xl/media/"
Cells = list[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcelSheet:
    """The sheets of a workbook that have one header, read as one table.

    Attributes:
        path: The file.
        sheets: Names of the sheets that are read.
        other_sheets: Names of those that hold cells and are not.
        formula_columns: Columns of formulas whose values the file does not hold.
        pictures: Names of pictures in the file that lie on none of the cells.
        header: Names of the columns.
        first_row: Number of the row, from 0 among those with cells, where the products begin.
    """

    path: Path
    sheets: tuple[str, ...]
    other_sheets: tuple[str, ...]
    formula_columns: tuple[str, ...]
    pictures: tuple[str, ...]
    header: tuple[str, ...]
    first_row: int

    def rows(self) -> Iterator[Cells]:
        """Yields the cells of each row that has any.

        Raises:
            ProductFileError: If the file breaks off.
        """
        width = len(self.header)
        with _opened(self.path) as workbook, zipfile.ZipFile(self.path) as archive:
            for name in self.sheets:
                pictures = CellPictures(archive, _place_of(workbook[name]))
                rows = _sheet_rows(workbook[name], self.path, pictures)
                order = ColumnOrder(self.header)
                for cells in islice(rows, self.first_row, None):
                    if not order.is_renamed(cells):
                        yield order.ordered((cells + [None] * width)[:width], None)


def open_excel(path: Path, *, has_header: bool) -> ExcelSheet:
    """Finds the first sheet whose header names three fields, and those with the same header.

    Where none does, the one that names the most; hidden ones where no other holds a table.

    Args:
        path: The file, .xlsx.
        has_header: Whether a row names the columns.

    Raises:
        ProductFileError: If it is no workbook, is empty, or openpyxl is not installed.
    """
    with _opened(path) as workbook:
        found = {sheet.title: _find_header(sheet, path) for sheet in workbook.worksheets}
        hidden = {s.title for s in workbook.worksheets if s.sheet_state != "visible"}
        headers = {name: header for name, header in found.items() if header.cells}
        if not headers:
            raise ProductFileError(f"{path} is empty; expected a header with column names")
        named = {name: header for name, header in headers.items() if has_embedded(header.cells)}
        shown = {name: header for name, header in headers.items() if name not in hidden}
        tables = {name: header for name, header in shown.items() if len(header.cells) > 1}
        shown_and_named = {name: header for name, header in named.items() if name in shown}
        candidates = shown_and_named or tables or named or headers
        chosen = max(
            candidates.values(),
            key=lambda h: (min(count_named(h.cells), _ENOUGH_FIELDS), min(len(h.cells), 2)),
        )
        sheets = tuple(name for name, header in candidates.items() if header == chosen)
        header = unique_names([cell * has_header for cell in chosen.cells])
        first_row = chosen.place + has_header
        formulas = _find_formulas(workbook, path, sheets[0], first_row)
        pictures = _find_pictures(path, [_place_of(workbook[name]) for name in sheets], len(header))
    return ExcelSheet(
        path=path,
        sheets=sheets,
        other_sheets=tuple(name for name in headers if name not in sheets),
        formula_columns=tuple(header[place] for place in formulas),
        pictures=tuple(pictures),
        header=header,
        first_row=first_row,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    place: int
    cells: tuple[str, ...]


def _find_header(sheet: Any, path: Path) -> _Header:
    """The first row with cells, or that behind the sheet's title; its place among such rows."""
    rows = [
        ["" if cell is None else str(cell).strip() for cell in row]
        for row in islice(_sheet_rows(sheet, path), _HEADER_ROWS)
    ]
    place = count_preamble(rows)
    if joined := joined_header(*rows[place : place + 2]) if len(rows) > place + 1 else ():
        return _Header(place=place + 1, cells=joined)
    return _Header(place=place, cells=tuple(rows[place]) if rows else ())


def _find_formulas(workbook: Any, path: Path, sheet: str, first_row: int) -> list[int]:
    """Places of the columns that hold formulas and, in the first rows, not one value of them."""
    rows = islice(_sheet_rows(workbook[sheet], path), first_row, first_row + _ROWS_LOOKED_AT)
    empty = [
        place
        for place, column in enumerate(zip_longest(*rows))
        if all(cell is None for cell in column)
    ]
    if not empty:
        return []
    with _opened(path, with_values=False) as unread:
        cells = islice(unread[sheet].iter_rows(), first_row, first_row + _ROWS_LOOKED_AT)
        formulas = {
            place for row in cells for place, cell in enumerate(row) if cell.data_type == "f"
        }
    return [place for place in empty if place in formulas]


def _find_pictures(path: Path, places: Sequence[str], width: int) -> list[str]:
    """Names of the pictures that lie on no cell of some sheets."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.startswith(_PICTURES)]
        sheets = [CellPictures(archive, place) for place in places if names]
        placed = {name for sheet in sheets for name in sheet.names(width)}
    return [name for name in names if name not in placed]


@contextmanager
def _opened(path: Path, *, with_values: bool = True) -> Iterator[Any]:
    """Opens a workbook, with the values that were kept of formulas, or with the formulas."""
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise ProductFileError(
            f"{path} is an Excel workbook, which needs the package openpyxl: install it, or save "
            "the sheet as CSV"
        ) from None
    with path.open("rb") as file:
        yield _load(path, file, partial(load_workbook, read_only=True, data_only=with_values))


def _load(path: Path, file: BinaryIO, load_workbook: Callable[..., Any]) -> Any:
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if "xl/workbook.xml" not in archive.namelist():
                is_document = "mimetype" in archive.namelist()
                what = (
                    "an OpenDocument table; save it as .xlsx or CSV"
                    if is_document
                    else "a document and no workbook; save its table as .xlsx or CSV"
                )
                raise ProductFileError(f"{path} is {what}")
        bound = max(_RATIO_COUNTS_FROM_BYTES, _MOST_RATIO * path.stat().st_size)
        if unpacked > min(MOST_UNPACKED_BYTES, bound):
            raise ProductFileError(f"{path} would unpack to {unpacked:,} bytes")
        return load_workbook(file)
    except ProductFileError:
        raise
    except Exception as error:  # openpyxl has no family of errors
        raise ProductFileError(f"{path} is not a readable Excel workbook: {error}") from error


def _sheet_rows(sheet: Any, path: Path, pictures: CellPictures | None = None) -> Iterator[Cells]:
    sheet.reset_dimensions()  # some programs write wrong ones, and rows would be lost
    rows = enumerate(islice(sheet.iter_rows(), _MOST_ROWS), start=1)
    links, merged = _beside_values(sheet, path)
    while True:
        try:
            number, row = next(rows)
            cells = [_value_of(cell) for cell in row]
        except StopIteration:
            return
        except Exception as error:  # openpyxl has no family of errors
            raise ProductFileError(f"{path} is not a readable Excel workbook: {error}") from error
        if any(cell is not None for cell in cells):
            cells = links.linked(cells, number) if links else cells
            cells = pictures.filled(cells, number) if pictures else cells
            yield merged.filled(cells, number) if merged else cells


def _beside_values(sheet: Any, path: Path) -> tuple[CellLinks | None, MergedCells | None]:
    """Its links and merged cells, which openpyxl does not tell of a sheet read row by row."""
    place = _place_of(sheet)
    try:
        return CellLinks(path, place), MergedCells(path, place)
    except (KeyError, OSError, zipfile.BadZipFile):
        return None, None


def _place_of(sheet: Any) -> str:
    """Where the archive holds a sheet; empty where it is none of cells."""
    return str(getattr(sheet, "_worksheet_path", ""))


def _value_of(cell: Any) -> object:
    """The value of a cell; a number that is shown with leading zeros, "00123", as it is shown.

    A sign that XML cannot hold is written by its number: "_x000D_" is the return of Windows.
    """
    value: object = cell.value
    if isinstance(value, str) and "_x" in value:
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)
    if isinstance(value, int) and not (digits := str(cell.number_format)).strip("0"):
        return str(value).zfill(len(digits))
    return value
