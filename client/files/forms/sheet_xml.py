"""What openpyxl does not tell of an Excel sheet that it reads row by row, found in its XML."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def found_in_sheet(
    path: Path, place: str, pattern: re.Pattern[bytes], longest: int
) -> Iterator[re.Match[bytes]]:
    """Finds a pattern in a sheet, block by block.

    Args:
        path: The workbook.
        place: Where its archive holds the sheet.
        pattern: What to find.
        longest: How many bytes it may go over.
    """
    with zipfile.ZipFile(path) as archive, archive.open(place) as file:
        rest = b""
        while block := file.read(_BLOCK_BYTES):
            text = rest + block
            end = 0
            for found in pattern.finditer(text):
                yield found
                end = found.end()
            rest = text[max(end, len(text) - longest) :]


def number_of(column: bytes) -> int:
    """The number of a column, from 0: 26 for "AA"."""
    number = 0
    for letter in column:
        number = 26 * number + letter - ord("A") + 1
    return number - 1
