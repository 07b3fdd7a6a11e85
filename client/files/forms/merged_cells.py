"""Merged cells of an Excel sheet: one that goes over several rows stands in each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from twinshelf.client.files.forms.sheet_xml import found_in_sheet, number_of

# No person merges more; a file may claim any number.
_MOST_MERGED = 100_000
_MERGED = re.compile(rb'<mergeCell [^>]*?ref="([A-Z]{1,3})(\d{1,7}):[A-Z]{1,3}(\d{1,7})"')
_LONGEST_MERGED = 200
Cells = list[object]


class MergedCells:
    """Fills the cells that are merged with one in a row above; those beside it stay empty."""

    def __init__(self, path: Path, place: str) -> None:
        """Reads which cells are merged.

        Args:
            path: The workbook.
            place: Where its archive holds the sheet.
        """
        # The first row to the places of its cells that go on below, and the last row of each.
        self._begun: dict[int, list[tuple[int, int]]] = {}
        for column, first, last in _merged_in(path, place):
            if first < last:
                self._begun.setdefault(first, []).append((column, last))
        self._going_on: dict[int, tuple[int, object]] = {}

    def filled(self, cells: Cells, row: int) -> Cells:
        """Returns the cells of a row, with those that go on from above.

        Args:
            cells: As the file has them; rows come in their order.
            row: Its number in the sheet, from 1.
        """
        for place, (last, value) in [*self._going_on.items()]:
            if row > last:
                del self._going_on[place]
                continue
            cells += [None] * (place + 1 - len(cells))
            if cells[place] is None:
                cells[place] = value
        for place, last in self._begun.get(row, ()):
            if place < len(cells) and cells[place] is not None:
                self._going_on[place] = last, cells[place]
        return cells


def _merged_in(path: Path, place: str) -> Iterator[tuple[int, int, int]]:
    """Column from 0, first and last row of merged cells, which stand behind all others."""
    for found in islice(found_in_sheet(path, place, _MERGED, _LONGEST_MERGED), _MOST_MERGED):
        column, first, last = found.groups()
        yield number_of(column), int(first), int(last)
