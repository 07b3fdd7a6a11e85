"""The first sheet of an Excel workbook, row by row."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinshelf.client.files.rows import ProductFileError

MOST_UNPACKED_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcelSheet:
    """The first sheet of a workbook.

    Attributes:
        path: The file.
        header: Names of the columns; "1", "2" and so on where the sheet names none.
        has_header: Whether the first row is the header.
    """

    path: Path
    header: tuple[str, ...]
    has_header: bool

    def rows(self) -> Iterator[list[object]]:
        """Yields the cells of each row that has any.

        Raises:
            ProductFileError: If the file breaks off.
        """
        rows = _sheet_rows(self.path)
        if self.has_header:
            next(rows, None)
        width = len(self.header)
        for cells in rows:
            yield (cells + [None] * width)[:width]


def open_excel(path: Path, *, has_header: bool) -> ExcelSheet:
    """Reads the header of a workbook's first sheet.

    Args:
        path: The file, .xlsx.
        has_header: Whether the first row names the columns.

    Raises:
        ProductFileError: If it is no workbook, is empty, or openpyxl is not installed.
    """
    first = next(_sheet_rows(path), None)
    if first is None:
        raise ProductFileError(f"{path} is empty; expected a header with column names")
    names = ["" if cell is None else str(cell).strip() for cell in first]
    if not has_header:
        names = [str(number) for number in range(1, len(first) + 1)]
    return ExcelSheet(path=path, header=tuple(names), has_header=has_header)


def _sheet_rows(path: Path) -> Iterator[list[object]]:
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise ProductFileError(
            f"{path} is an Excel workbook, which needs the package openpyxl: install it, or save "
            "the sheet as CSV"
        ) from None
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MOST_UNPACKED_BYTES:
            raise ProductFileError(f"{path} would unpack to {unpacked:,} bytes")
        workbook = load_workbook(path, read_only=True, data_only=True)
        for cells in workbook.worksheets[0].iter_rows(values_only=True):
            if any(cell is not None for cell in cells):
                yield list(cells)
    except (OSError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise ProductFileError(f"{path} is not a readable Excel workbook: {error}") from error
