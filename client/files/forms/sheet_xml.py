"""What openpyxl does not tell of an Excel sheet that it reads row by row, found in its XML."""

from __future__ import annotations

import html
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK_BYTES = 1 << 20
_RELATION = re.compile(rb"<(?:\w{1,9}:)?Relationship\s[^>]*>")
_IDENTIFIER = re.compile(rb'\sId="([^"]*)"')
_TARGET = re.compile(rb'\sTarget="([^"]*)"')
_OUTSIDE = b'TargetMode="External"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """What a part of a workbook refers to.

    Attributes:
        target: An address, or a place in the archive.
        is_outside: Whether it is an address.
    """

    target: str
    is_outside: bool


def bytes_at(archive: zipfile.ZipFile, place: str, most: int = 1 << 28) -> bytes:
    """Reads a part of a workbook; nothing where it is missing, damaged, locked or too large."""
    try:
        return archive.read(place) if archive.getinfo(place).file_size <= most else b""
    except (KeyError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return b""


def relations_of(archive: zipfile.ZipFile, place: str) -> dict[bytes, Relation]:
    """Returns what a part of a workbook refers to, by the identifiers that it uses.

    Args:
        archive: The workbook.
        place: Where it holds the part.
    """
    folder, name = posixpath.split(place)
    beside = f"{folder}/_rels/{name}.rels"
    found = {}
    for each in _RELATION.findall(bytes_at(archive, beside)):
        identifier, target = _IDENTIFIER.search(each), _TARGET.search(each)
        if identifier and target:
            is_outside = _OUTSIDE in each
            text = html.unescape(target[1].decode(errors="replace"))
            if not is_outside:
                text = posixpath.normpath(posixpath.join("/", folder, text)).lstrip("/")
            found[identifier[1]] = Relation(target=text, is_outside=is_outside)
    return found


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
