"""The sheet of products in an Excel workbook, row by row."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from twinshelf.client.files.rows import ProductFileError, unique_names

MOST_UNPACKED_BYTES = 2 * 1024**3
# A workbook far above this ratio was made to fill a memory.
_MOST_RATIO = 50
_RATIO_COUNTS_FROM_BYTES = 256 * 1024**2
# A header stands in these rows, below whatever title the sheet has.
_HEADER_ROWS = 20
Cells = list[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcelSheet:
    """The first sheet of a workbook that has a row of two cells, else the first with any.

    Attributes:
        path: The file.
        name: Of the sheet.
        sheet_count: Sheets of the workbook.
        header: Names of the columns.
        first_row: Number of the row, from 0 among those with cells, where the products begin.
    """

    path: Path
    name: str
    sheet_count: int
    header: tuple[str, ...]
    first_row: int

    def rows(self) -> Iterator[Cells]:
        """Yields the cells of each row that has any.

        Raises:
            ProductFileError: If the file breaks off.
        """
        width = len(self.header)
        with _opened(self.path) as workbook:
            for place, cells in enumerate(_sheet_rows(workbook[self.name], self.path)):
                if place >= self.first_row:
                    yield (cells + [None] * width)[:width]


def open_excel(path: Path, *, has_header: bool) -> ExcelSheet:
    """Finds the sheet and its header: a title of one cell may stand above it.

    Args:
        path: The file, .xlsx.
        has_header: Whether a row names the columns.

    Raises:
        ProductFileError: If it is no workbook, is empty, or openpyxl is not installed.
    """
    with _opened(path) as workbook:
        found = [(sheet.title, *_find_header(sheet, path)) for sheet in workbook.worksheets]
    name, place, cells = max(found, key=lambda each: min(_width(each[2]), 2), default=("", 0, []))
    if not cells:
        raise ProductFileError(f"{path} is empty; expected a header with column names")
    names = ["" if cell is None or not has_header else str(cell).strip() for cell in cells]
    return ExcelSheet(
        path=path,
        name=name,
        sheet_count=len(found),
        header=unique_names(names),
        first_row=place + has_header,
    )


def _find_header(sheet: Any, path: Path) -> tuple[int, Cells]:
    """The first row of two cells or more, else the first; its place among the rows with cells."""
    rows = zip(range(_HEADER_ROWS), _sheet_rows(sheet, path), strict=False)
    return max(rows, key=lambda row: min(_width(row[1]), 2), default=(0, []))


def _width(cells: Cells) -> int:
    return sum(cell is not None for cell in cells)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise ProductFileError(
            f"{path} is an Excel workbook, which needs the package openpyxl: install it, or save "
            "the sheet as CSV"
        ) from None
    with path.open("rb") as file:
        yield _load(path, file, load_workbook)


def _load(path: Path, file: BinaryIO, load_workbook: Callable[..., Any]) -> Any:
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if "xl/workbook.xml" not in archive.namelist():
                raise ProductFileError(f"{path} is a ZIP archive and no workbook; unpack it")
        bound = max(_RATIO_COUNTS_FROM_BYTES, _MOST_RATIO * path.stat().st_size)
        if unpacked > min(MOST_UNPACKED_BYTES, bound):
            raise ProductFileError(f"{path} would unpack to {unpacked:,} bytes")
        return load_workbook(file, read_only=True, data_only=True)
    except ProductFileError:
        raise
    except Exception as error:  # openpyxl has no family of errors
        raise ProductFileError(f"{path} is not a readable Excel workbook: {error}") from error


def _sheet_rows(sheet: Any, path: Path) -> Iterator[Cells]:
    rows = sheet.iter_rows(values_only=True)
    while True:
        try:
            cells = list(next(rows))
        except StopIteration:
            return
        except Exception as error:  # openpyxl has no family of errors
            raise ProductFileError(f"{path} is not a readable Excel workbook: {error}") from error
        if any(cell is not None for cell in cells):
            yield cells
