"""Addresses behind the texts of an Excel sheet: of links, and of the formulas that write them."""

from __future__ import annotations

import html
import re
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from twinshelf.client.files.forms.sheet_xml import found_in_sheet, number_of, relations_of
from twinshelf.client.files.values.photos import LinkedText

_BYTES_LOOKED_AT = 1 << 20
_LONGEST = 4096
# Excel itself keeps 65,530; a file may claim any number.
_MOST_LINKS = 100_000
_LINK = re.compile(rb"<(?:\w{1,9}:)?hyperlink\s[^>]*>")
_AREA = re.compile(rb'\bref="([A-Z]{1,3})(\d{1,7})[:"]')
_IDENTIFIER = re.compile(rb'\b\w{1,9}:id="([^"]*)"')
# HYPERLINK("https://...","Photo") and _xlfn.IMAGE("https://..."), with their cell; what stands in
# place of a text, such as another cell, tells no address.
_TEXT = rb'\s*(?:"|&quot;)((?:(?!"|&quot;)[^<])*)(?:"|&quot;)'
_FORMULA = re.compile(
    rb'<(?:\w{1,9}:)?c\s[^>]*?\br="([A-Z]{1,3})(\d{1,7})"[^>]*>\s*<(?:\w{1,9}:)?f\b[^>]*>\s*'
    rb"(?:_xl\w+\.)*(?:HYPERLINK|IMAGE)\(" + _TEXT + rb"(?:\s*," + _TEXT + rb")?"
)
Cells = list[object]


class CellLinks:
    """Puts the addresses behind the texts of a sheet's cells."""

    def __init__(self, path: Path, place: str) -> None:
        """Reads which cells are links.

        Args:
            path: The workbook.
            place: Where its archive holds the sheet.
        """
        self._links = dict(_links_in(path, place))
        self._formulas = _formulas_in(path, place)
        self._next = next(self._formulas, None)

    def linked(self, cells: Cells, row: int) -> Cells:
        """Returns the cells of a row, with the addresses behind their texts.

        Args:
            cells: As the file has them; rows come in their order.
            row: Its number in the sheet, from 1.
        """
        for place, cell in enumerate(cells if self._links else ()):
            if isinstance(cell, str) and (link := self._links.get((row, place))):
                cells[place] = LinkedText(cell, link)
        while self._next is not None and self._next[0] <= row:
            number, place, text = self._next
            value = cells[place] if number == row and place < len(cells) else 0
            if value is None or isinstance(value, str):
                cells[place] = LinkedText(value or text, text.link)
            self._next = next(self._formulas, None)
        return cells


def _links_in(path: Path, place: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Row and column of each link, and where it leads; they stand behind all cells."""
    with zipfile.ZipFile(path) as archive:
        relations = relations_of(archive, place)
    targets = {key: each.target for key, each in relations.items() if each.is_outside}
    found = found_in_sheet(path, place, _LINK, _LONGEST) if targets else iter(())
    for link in islice(found, _MOST_LINKS):
        area, identifier = _AREA.search(link[0]), _IDENTIFIER.search(link[0])
        if area and identifier and identifier[1] in targets:
            yield (int(area[2]), number_of(area[1])), targets[identifier[1]]


def _formulas_in(path: Path, place: str) -> Iterator[tuple[int, int, LinkedText]]:
    """Row and column of each formula that is a link, and what it shows."""
    with zipfile.ZipFile(path) as archive, archive.open(place) as file:
        start = file.read(_BYTES_LOOKED_AT)
    if b"HYPERLINK(" in start or b"IMAGE(" in start:
        for found in found_in_sheet(path, place, _FORMULA, _LONGEST):
            link, shown = (
                html.unescape((each or b"").decode(errors="replace")) for each in found.groups()[2:]
            )
            yield int(found[2]), number_of(found[1]), LinkedText(shown or link, link)
