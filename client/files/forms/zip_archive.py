"""A ZIP archive that holds a table, as many shops' exports are packed, or several."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from twinshelf.client.files.forms.header import count_named
from twinshelf.client.files.rows import ProductFileError

ZIP_MAGIC = b"PK\x03\x04"
TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".xml")
WORKBOOK_SUFFIXES, _TEXTS = (".xlsx", ".xlsm", ".parquet", ".pq"), (".txt", "")
_OPEN_TABLE, _OPEN_MIME = "content.xml", b"application/vnd.oasis.opendocument.spreadsheet"
# So much of a table tells what it holds, and so many fields that these are products.
_START_BYTES, _HEADER_LINES, _FEWEST_FIELDS = 1 << 14, 10, 2
_PRODUCTS = re.compile(
    "product|produkt|item|article|artikel|goods|catalog|katalog|offer|товар", re.IGNORECASE
)
# A workbook or a Parquet file is copied out of its archive: far above this ratio it was made to
# fill a disk.
_MOST_RATIO, _RATIO_COUNTS_FROM_BYTES = 50, 256 * 1024**2
_PHOTOS = (".jpg", ".jpeg", ".png", ".webp")
# What documents of office programs hold: "word/document.xml" is no table.
_OF_DOCUMENT = re.compile(r"\[Content_Types\]\.xml|mimetype|.*\.iwa")


def is_document(path: Path) -> bool:
    """Whether a ZIP archive is a workbook or another document.

    Raises:
        ProductFileError: If it cannot be read.
    """
    return any(_OF_DOCUMENT.fullmatch(entry.filename) for entry in _entries(path))


def is_open_table(path: Path) -> bool:
    """Whether a ZIP archive is a workbook of OpenDocument, as LibreOffice writes it.

    Raises:
        ProductFileError: If it cannot be read.
    """
    if not {"mimetype", _OPEN_TABLE} <= {entry.filename for entry in _entries(path)}:
        return False
    with _opened(path, "mimetype") as file:
        return file.read(len(_OPEN_MIME)) == _OPEN_MIME


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesWithin:
    """What of an archive is read.

    Attributes:
        names: The table of products, or its parts: several tables of the same columns.
        others: Tables of other things, which are not read.
    """

    names: tuple[str, ...]
    others: tuple[str, ...] = ()


def find_tables(path: Path) -> TablesWithin:
    """Finds the table of products in an archive: of several that which names most fields.

    A note beside one table does not count.

    Raises:
        ProductFileError: If it holds none, several of which none names more than others, photos
            beside it, or cannot be read.
    """
    if is_open_table(path):
        return TablesWithin(names=(_OPEN_TABLE,))
    suffixes: dict[str, str] = {}
    for entry in _entries(path):
        name = PurePosixPath(entry.filename)
        is_hidden = name.name.startswith(".") or "__MACOSX" in name.parts
        if not entry.is_dir() and not is_hidden:
            suffixes[entry.filename] = name.suffix.casefold()
    tables = [name for name, suffix in suffixes.items() if suffix in TABLE_SUFFIXES]
    for others in (WORKBOOK_SUFFIXES, _TEXTS):
        tables = tables or [name for name, suffix in suffixes.items() if suffix in others]
    if not set(suffixes.values()) & {*_PHOTOS}:
        if len(tables) == 1:
            return TablesWithin(names=(tables[0],))
        if found := _table_of_products(path, {name: suffixes[name] for name in tables}):
            return found
    what = "several tables or photos" if tables else "no table"
    raise ProductFileError(f"{path} is a ZIP archive of {what}; unpack it")


def _table_of_products(path: Path, suffixes: Mapping[str, str]) -> TablesWithin | None:
    """The table that names most fields, and those that are parts of it; None where none does."""
    columns = {name: _names_in(path, name, suffix) for name, suffix in suffixes.items()}

    def fitness(name: str) -> tuple[int, bool]:
        return count_named(columns[name]), _PRODUCTS.search(name) is not None

    best = max(suffixes, key=fitness, default="")
    if not best or fitness(best)[0] < _FEWEST_FIELDS:
        return None
    parts = [name for name in suffixes if columns[name] == columns[best]]
    if any(fitness(name) == fitness(best) for name in suffixes if name not in parts):
        return None
    if suffixes[best] == ".xml":  # two of them are no XML
        parts = [best]
    return TablesWithin(
        names=tuple(parts), others=tuple(name for name in suffixes if name not in parts)
    )


def _names_in(path: Path, name: str, suffix: str) -> tuple[str, ...]:
    """Names that a table begins with: its header, or what its first objects or elements hold."""
    with _opened(path, name) as file:
        try:
            start = file.read(_START_BYTES)
        except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise ProductFileError(f"{path} cannot be unpacked: {error}") from None
    text = start.replace(b"\0", b"").decode("utf-8-sig", errors="replace")
    if suffix == ".xml":
        return tuple(dict.fromkeys(re.findall(r"<([^\W\d][\w:.-]*)", text)))
    if suffix.startswith((".json", ".ndjson")):
        return tuple(dict.fromkeys(re.findall(r'"([^"\\]+)"\s*:', text)))
    lines = text.splitlines()[:_HEADER_LINES]
    rows = [tuple(cell.strip('" ') for cell in re.split(r"[,;\t|]", line)) for line in lines]
    return max(rows, key=count_named, default=())


def require_bounded(path: Path, name: str) -> None:
    """Refuses what would unpack to gigabytes out of little.

    Raises:
        ProductFileError: If it would.
    """
    entry = next(each for each in _entries(path) if each.filename == name)
    if entry.file_size > max(_RATIO_COUNTS_FROM_BYTES, _MOST_RATIO * entry.compress_size):
        raise ProductFileError(f"{name} in {path} would unpack to {entry.file_size:,} bytes")


def open_tables_within(path: Path) -> _Joined:
    """Opens what an archive holds of the table of products, its parts one behind another.

    Raises:
        ProductFileError: As `find_tables`.
    """
    return _Joined([_opened(path, name) for name in find_tables(path).names])


class _Joined:
    """Parts of a table, a line end between them."""

    def __init__(self, parts: list[IO[bytes]]) -> None:
        self._parts = parts
        self._place = 0

    def read(self, size: int) -> bytes:
        """Reads at most so many bytes; none at the end."""
        while self._place < len(self._parts):
            if data := self._parts[self._place].read(size):
                return data
            self._place += 1
            if self._place < len(self._parts):
                return b"\n"
        return b""

    def close(self) -> None:
        """Closes all parts."""
        for part in self._parts:
            part.close()


def _opened(path: Path, name: str) -> IO[bytes]:
    try:
        with zipfile.ZipFile(path) as archive:  # what is open in it stays open
            return archive.open(name)
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:  # one with a password
        raise ProductFileError(f"{path} cannot be unpacked: {error}; unpack it first") from None


def _entries(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [entry for entry in archive.infolist() if entry.filename]
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise ProductFileError(
            f"{path} is not a readable Excel workbook or ZIP archive: {error}"
        ) from error
