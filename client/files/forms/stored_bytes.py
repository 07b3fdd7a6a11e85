"""Bytes of a table: from a regular file, plain, compressed or archived, or from standard input."""

from __future__ import annotations

import atexit
import bz2
import functools
import io
import lzma
import os
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import pyarrow as pa

from twinshelf.client.files.forms.zip_archive import (
    ZIP_MAGIC,
    find_tables,
    is_document,
    is_open_table,
    open_tables_within,
    require_bounded,
)
from twinshelf.client.files.rows import MissingFileError, ProductFileError

STANDARD_INPUT = Path("-")
PARQUET_SUFFIXES = (".parquet", ".pq")
EXCEL_SUFFIXES = (".xlsx", ".xlsm")
_UNPACKED = (*EXCEL_SUFFIXES, *PARQUET_SUFFIXES)
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_COMPRESSED_SUFFIXES = (".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz")
# What is no table at all, by its first bytes.
_OTHERS = {
    b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook, or one with a password; save it as .xlsx without",
    b"ARROW1": "an Arrow or Feather file; save it as Parquet",
    b"\xff\xff\xff\xff": "an Arrow stream, as of Hugging Face datasets; save it as Parquet",
    b"\x1f\x8b": "compressed twice; unpack it first",
    b"BZh9": "compressed twice; unpack it first",
    b"\xfd7zXZ": "compressed twice; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
    b"\xff\xd8\xff": "a photo; give its folder",
    b"\x89PNG": "a photo; give its folder",
    b"RIFF": "a photo; give its folder",
    b"{\\rtf": "a text document; save its table as CSV",
    b"Obj\x01": "an Avro file; save it as Parquet",
    b"$FL2": "an SPSS table; save it as CSV",
    b"<stata_dta>": "a Stata table; save it as CSV",
    b"SQLite format 3": "a database; export its table as CSV",
    b"MIME-Version:": "a web archive; save it as a web page, or its table as CSV",
    b"From: <Saved by": "a web archive; save it as a web page, or its table as CSV",
    b"BEGIN:": "a list of cards; save it as CSV or JSON",
}
# Of dBase, with the month and the day when it was written.
_DBASE = re.compile(rb"[\x03\x83\x8b\xf5].[\x01-\x0c][\x01-\x1f]", re.DOTALL)
_TAR_MAGIC, _TAR_PLACE = b"ustar", 257
_WEB_PAGE = re.compile(rb"\s*<(?:[^<>]*>\s*<)?(?:!doctype html|html|table)\b", re.IGNORECASE)
_WORKBOOKS = (b"urn:schemas-microsoft-com:office:spreadsheet", b"<office:document")
_XML = re.compile(rb"\s*<(?:\?xml\b|!--|!doctype\b|[a-z_][\w.:-]*[\s>])", re.IGNORECASE)
_SCRIPTS = {
    "an SQL script; export its table as CSV": re.compile(
        rb"(?:\s|--[^\n]*\n|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/;?)*(?:(?:insert|replace)\s+into|(?:create|drop|lock)\s+table"
        rb"|set\s+[@\w.]+\s*=|begin\s*;|copy\s+\S+\s*\()",
        re.IGNORECASE | re.DOTALL,
    ),
    "YAML; save it as JSON": re.compile(
        rb"(?:---\s*\n)?(?:[\w ]+:\s*\n)?(?P<indent> *)- [\w ]+: [^\n]*\n(?P=indent)  [\w ]+:"
    ),
    "a list of records line by line; save it as CSV or JSON": re.compile(
        rb"\*{9,} 1\. row \*{9,}\s|(?P<first>[\w #./-]{1,40}):[ \t][^\n]*\n"
        rb"(?:[\w #./-]{1,40}:[ \t][^\n]*\n)+\s*\n(?P=first):"
    ),
    "JavaScript; save what it holds as JSON": re.compile(
        rb"(?:\s|//[^\n]*\n|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*(?:export\s+)?"
        rb"(?:default|(?:var|let|const)\s+\w+\s*(?::[^=\n]*)?=|[\w.$]+\s*\(|[\w.]+\s*=)\s*[\[{]",
        re.DOTALL,
    ),
    "a SYLK table; save it as .xlsx or CSV": re.compile(
        rb"ID;P[^\n]*\n(?:[A-Z]{1,3};[^\n]*\n)*?[BC];[XYK]"
    ),
    "only the pointer to a file that Git LFS keeps; fetch the file: git lfs pull": re.compile(
        rb"version https://git-lfs\.github\.com/spec/"
    ),
    "a text whose rows end with the sign 1E and not with its lines; save it as CSV": re.compile(
        rb"(?:[\t\x20-\xff]*\x1f)+[\t\x20-\xff]*\x1e[\t\x20-\xff]*\x1f"
    ),
    "a file of settings; save it as CSV or JSON": re.compile(
        rb"\s*\[+[^][{},\"\n]+\]+\s*\n(?:[\w .-]+=[^\n]*\n)+\s*\[+[^][{},\"\n]+\]+\s*\n"
    ),
}
Kind = Literal["delimited", "json", "xml", "markup", "parquet", "excel"]
_Packing = Literal["gzip", "zstd", "bz2", "xz", "zip"]
_MAGIC: dict[bytes, _Packing] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    ZIP_MAGIC: "zip",
    # Of nothing it ends at once.
    **{
        b"BZh%d%b" % (n, block): "bz2"
        for n in range(1, 10)
        for block in (b"1AY&SY", b"\x17rE8P\x90")
    },
}
_LONGEST_MAGIC = max(map(len, _MAGIC))
_BROKEN = (OSError, EOFError, pa.ArrowException, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


def store_standard_input(stream: BinaryIO) -> Path:
    """Copies standard input into a temporary file: a table is read more than once.

    Args:
        stream: Standard input, as bytes.

    Returns:
        The file; it is removed when the process ends.
    """
    return _store(stream, "standard input")  # as messages and tables of matches name it


def _store(stream: BinaryIO, name: str) -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / name
    with path.open("wb") as file:
        shutil.copyfileobj(stream, file)
    return path


def unpacked(path: Path) -> Path:
    """Returns a table that can be read from anywhere in it: a workbook out of its ZIP archive.

    Args:
        path: The file; another kind of table, or one that is not packed, is returned as it is.

    Raises:
        MissingFileError: If there is no such file.
        ProductFileError: If it cannot be read.
    """
    if not is_archive(path) or not find_tables(path).names[0].casefold().endswith(_UNPACKED):
        return path
    return _unpacked(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)  # a table is opened several times
def _unpacked(path: Path, written_ns: int) -> Path:
    name = find_tables(path).names[0]
    require_bounded(path, name)
    with open_bytes(path) as file:
        return _store(file, Path(name).name)


def require_file(path: Path) -> None:
    """Checks that a path is a regular file: a pipe or a device might never end.

    Raises:
        MissingFileError: If nothing is there.
        ProductFileError: If it is something else.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(f"there is no file {path}") from None
    except OSError as error:
        raise ProductFileError(f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise ProductFileError(f"{path} is no regular file; give it as - through standard input")


def kind_of(path: Path) -> Kind:
    """Tells what kind of table a file is, by its first bytes and its name.

    Raises:
        MissingFileError: If there is no such file.
        ProductFileError: If it cannot be read, or is known to be no table.
    """
    require_file(path)
    packing = packing_of(path)
    if packing == "zip" and is_open_table(path):
        return "markup"
    if packing == "zip" and is_document(path):
        return "excel"
    suffix = Path(find_tables(path).names[0]).suffix if packing == "zip" else _suffix_within(path)
    with open_bytes(path) as file:
        start = file.read(4096)
    _require_table(path, start)
    if start.startswith((b"PAR1", ZIP_MAGIC)) and packing:
        raise ProductFileError(f"{path} holds a file that is compressed itself; unpack it first")
    if start.startswith(b"PAR1") or suffix in PARQUET_SUFFIXES:
        return "parquet"
    if _WEB_PAGE.match(_marked_up(start)) or any(each in start for each in _WORKBOOKS):
        return "markup"
    if _XML.match(_marked_up(start)):
        return "xml"
    if suffix in EXCEL_SUFFIXES and b"\0" in start:
        return "excel"
    is_json = _begins_json(start) and (suffix not in (".csv", ".tsv") or start[:1] == b"[")
    return "json" if suffix in JSON_SUFFIXES or is_json else "delimited"


def _require_table(path: Path, start: bytes) -> None:
    """Refuses what is known to be no table by its first bytes, and says what to do."""
    if other := next((name for magic, name in _OTHERS.items() if start.startswith(magic)), ""):
        raise ProductFileError(f"{path} is {other}")
    if start[_TAR_PLACE:].startswith(_TAR_MAGIC):
        raise ProductFileError(f"{path} is a tar archive; unpack it")
    if _DBASE.match(start):
        raise ProductFileError(f"{path} is a dBase table; save it as CSV or .xlsx")
    if script := next((name for name, form in _SCRIPTS.items() if form.match(start)), ""):
        raise ProductFileError(f"{path} is {script}")


def is_archive(path: Path) -> bool:
    """Whether a file is a ZIP archive of tables; a workbook is one, though of itself.

    Raises:
        MissingFileError: If there is no such file.
        ProductFileError: If it cannot be read.
    """
    require_file(path)
    return packing_of(path) == "zip" and not is_document(path)


def packing_of(path: Path) -> _Packing | None:
    """Tells how a file is compressed or archived, by its first bytes; None when it is not."""
    with path.open("rb") as file:
        start = file.read(_LONGEST_MAGIC)
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def open_bytes(path: Path) -> BinaryIO:
    """Opens a table's bytes, decompressed while they are read.

    Raises:
        ProductFileError: If the file cannot be opened, or is an archive of no single table.
    """
    try:
        packing = packing_of(path)
        if packing is None:
            return path.open("rb")
        return io.BufferedReader(_Decompressed(path, _unpacking(path, packing)), 1 << 20)
    except (OSError, pa.ArrowException) as error:
        raise ProductFileError(f"{path} cannot be read: {error}") from error


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def close(self) -> object: ...


def _unpacking(path: Path, packing: _Packing) -> _Stream:
    match packing:
        case "zip":
            return open_tables_within(path)
        case "bz2":
            return bz2.open(path)
        case "xz":
            return lzma.open(path)
    stream: _Stream = pa.CompressedInputStream(pa.OSFile(os.fspath(path)), packing)
    return stream


class _Decompressed(io.RawIOBase):
    """A stream with errors of one kind; as Python's own: Arrow's does not know `readinto`."""

    def __init__(self, path: Path, stream: _Stream) -> None:
        self._path = path
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._stream.read(len(buffer))
        except _BROKEN as error:
            raise ProductFileError(f"{self._path} breaks off: {error}") from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _suffix_within(path: Path) -> str:
    """The suffix of the table itself: ".csv" of "products.csv.gz"."""
    if path.suffix.lower() in _COMPRESSED_SUFFIXES:
        path = path.with_suffix("")
    return path.suffix.lower()


def _marked_up(start: bytes) -> bytes:
    """How a file begins, of UTF-16 as well without what stands before or between its letters."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        start = start[2:].replace(b"\0", b"")
    return start.removeprefix(b"\xef\xbb\xbf")


def _begins_json(start: bytes) -> bool:
    # A record may begin with the sign that parts records.
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\x1e")
    if text.startswith(b"{"):
        return text[1:].lstrip()[:1] in (b'"', b"'", b"}")
    return text.startswith(b"[") and text[1:].lstrip()[:1] in (b"{", b"[", b"]")
