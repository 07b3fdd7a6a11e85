"""Pictures that lie on an Excel sheet: each stands in the cell where it begins."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from itertools import islice

from twinshelf.client.files.forms.sheet_xml import bytes_at, relations_of
from twinshelf.client.files.values.photos import LARGEST_PHOTO_BYTES

# No person lays more on a sheet; a file may claim any number.
_MOST_PICTURES = 100_000
_ANCHOR = re.compile(
    rb"<(?:\w{1,9}:)?from>\s*<(?:\w{1,9}:)?col>(\d{1,5})<.{0,200}?<(?:\w{1,9}:)?row>(\d{1,7})<"
    rb'(?:(?!CellAnchor>).)*?<(?:\w{1,9}:)?blip\s[^>]*?\w{1,9}:embed="([^"]*)"',
    re.DOTALL,
)
# WPS, the office of China, writes =DISPIMG("ID_0A1B",1) into a cell.
_CELL_IMAGES = "xl/cellimages.xml"
_CELL_IMAGE = re.compile(
    rb'<(?:\w{1,9}:)?cNvPr\s[^>]*?\bname="(\w{1,99})"(?:(?!cellImage>).)*?<(?:\w{1,9}:)?blip\s'
    rb'[^>]*?\w{1,9}:embed="([^"]*)"',
    re.DOTALL,
)
_INSERTED = re.compile(r'=(?:_xlfn\.)?DISPIMG\("(\w+)"')
Cells = list[object]


class CellPictures:
    """Puts the pictures of a sheet into its empty cells."""

    def __init__(self, archive: zipfile.ZipFile, place: str) -> None:
        """Reads where pictures lie.

        Args:
            archive: The workbook.
            place: Where it holds the sheet.
        """
        self._archive = archive
        # The row, from 1, to the places of its pictures' cells and their names in the archive.
        self._placed: dict[int, list[tuple[int, str]]] = {}
        for row, column, name in _pictures_on(archive, place):
            self._placed.setdefault(row, []).append((column, name))
        inserted = _pictures_in(archive, _CELL_IMAGES, _CELL_IMAGE)
        self._inserted = {name.decode(): target for (name,), target in inserted}

    def names(self, width: int) -> set[str]:
        """Names in the archive of the pictures that lie on some columns, or stand in any cell.

        Args:
            width: How many columns, from the first.
        """
        laid = (each for placed in self._placed.values() for each in placed)
        return {name for column, name in laid if column < width}.union(self._inserted.values())

    def filled(self, cells: Cells, row: int) -> Cells:
        """Returns the cells of a row, with the bytes of the pictures that lie on empty ones.

        Args:
            cells: As the file has them.
            row: Its number in the sheet, from 1.
        """
        for place, name in self._placed.get(row, ()):
            cells += [None] * (place + 1 - len(cells))
            if cells[place] is None:
                cells[place] = bytes_at(self._archive, name, LARGEST_PHOTO_BYTES) or None
        for place, cell in enumerate(cells if self._inserted else ()):
            if isinstance(cell, str) and (found := _INSERTED.match(cell)):
                name = self._inserted.get(found[1], "")
                cells[place] = bytes_at(self._archive, name, LARGEST_PHOTO_BYTES) or None
        return cells


def _pictures_on(archive: zipfile.ZipFile, place: str) -> Iterator[tuple[int, int, str]]:
    """Row from 1, column from 0, and name of each picture on a sheet."""
    for each in relations_of(archive, place).values():
        if not each.is_outside and "/drawings/" in each.target:
            for (column, row), name in _pictures_in(archive, each.target, _ANCHOR):
                yield int(row) + 1, int(column), name


def _pictures_in(
    archive: zipfile.ZipFile, place: str, pattern: re.Pattern[bytes]
) -> Iterator[tuple[tuple[bytes, ...], str]]:
    """What a part of the workbook says of each of its pictures, and its name in the archive."""
    pictures = relations_of(archive, place)
    found = pattern.finditer(bytes_at(archive, place) if pictures else b"")
    for each in islice(found, _MOST_PICTURES):
        *said, identifier = each.groups()
        if identifier in pictures:
            yield tuple(said), pictures[identifier].target
