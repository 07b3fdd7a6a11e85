"""A ZIP archive that holds one table, as many shops' exports are packed."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from twinshelf.client.files.rows import ProductFileError

ZIP_MAGIC = b"PK\x03\x04"
_TABLES = (".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".xml")
_PHOTOS = (".jpg", ".jpeg", ".png", ".webp")
# What documents of office programs hold: "word/document.xml" is no table.
_OF_DOCUMENT = re.compile(r"\[Content_Types\]\.xml|mimetype|.*\.iwa")


def is_document(path: Path) -> bool:
    """Whether a ZIP archive is a workbook or another document.

    Raises:
        ProductFileError: If it cannot be read.
    """
    return any(_OF_DOCUMENT.fullmatch(entry.filename) for entry in _entries(path))


def table_within(path: Path) -> str:
    """Returns the name of the one table that an archive holds; a note beside it does not count.

    Raises:
        ProductFileError: If it holds none or several, photos beside it, or cannot be read.
    """
    suffixes: dict[str, str] = {}
    for entry in _entries(path):
        name = PurePosixPath(entry.filename)
        is_hidden = name.name.startswith(".") or "__MACOSX" in name.parts
        if not entry.is_dir() and not is_hidden:
            suffixes[entry.filename] = name.suffix.casefold()
    tables = [name for name, suffix in suffixes.items() if suffix in _TABLES]
    tables = tables or [name for name, suffix in suffixes.items() if suffix in (".txt", "")]
    if len(tables) == 1 and not set(suffixes.values()) & {*_PHOTOS}:
        return tables[0]
    what = "several tables or photos" if tables else "no text table"
    raise ProductFileError(f"{path} is a ZIP archive of {what}; unpack it")


def open_table_within(path: Path) -> IO[bytes]:
    """Opens the table that an archive holds.

    Raises:
        ProductFileError: As `table_within`.
    """
    name = table_within(path)
    try:
        with zipfile.ZipFile(path) as archive:  # what is open in it stays open
            return archive.open(name)
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:  # one with a password
        raise ProductFileError(f"{path} cannot be unpacked: {error}; unpack it first") from None


def _entries(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise ProductFileError(
            f"{path} is not a readable Excel workbook or ZIP archive: {error}"
        ) from error
