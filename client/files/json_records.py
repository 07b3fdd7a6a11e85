"""JSON tables: one object a line, a list of objects, or an object that holds such a list."""

from __future__ import annotations

import codecs
import io
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from twinshelf.client.files.rows import ProductFileError, TableForm
from twinshelf.client.files.stored_bytes import open_bytes
from twinshelf.client.files.text_encoding import find_encoding

LONGEST_RECORD_CHARACTERS = 64 * 1024 * 1024
_BLOCK_CHARACTERS = 1 << 20
# Records of one file may lack what others have; these many tell which columns there are.
_SAMPLE_RECORDS = 1000
_BETWEEN = re.compile(r"[\s,]*")
_TEXT = r'"(?:[^"\\]|\\.)*"'
# An object that holds the list, behind what else a shop says of it, such as a count.
_LIST_WITHIN = re.compile(
    rf"\s*\{{(?:\s*{_TEXT}\s*:\s*(?:{_TEXT}|[^\s\"\[\]{{}},]+)\s*,)*"
    r'\s*"(?:products|items|data|results|records|rows|offers|listings|goods|entries|hits|docs'
    r'|catalog|catalogue|feed)"\s*:\s*(?=\[\s*\{)',
    re.IGNORECASE,
)
Record = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRecords:
    """A table of JSON objects.

    Attributes:
        path: The file.
        encoding: Python's name of its encoding.
        header: Names that the first objects have, in the order of their first use.
        form: "JSON" for one list, "JSON lines" for one object a line.
    """

    path: Path
    encoding: str
    header: tuple[str, ...]
    form: str

    def rows(self) -> Iterator[Record | str]:
        """Yields each object, or why one cannot be read.

        Raises:
            ProductFileError: If the file breaks off.
        """
        yield from _records(self.path, self.encoding, self.form)


def open_json(path: Path, form: TableForm) -> JsonRecords:
    """Finds the form of a JSON table.

    Args:
        path: The file; may be compressed.
        form: What is known of its form: the encoding alone counts.

    Raises:
        ProductFileError: If the file is empty, or holds anything but objects.
    """
    encoding = form.encoding or find_encoding(path)
    with _opened(path, encoding) as file:
        start = file.read(_BLOCK_CHARACTERS)
    is_list = start.lstrip().startswith("[") or _LIST_WITHIN.match(start) is not None
    form_name = "JSON" if is_list else "JSON lines"
    sample = itertools.islice(_records(path, encoding, form_name), _SAMPLE_RECORDS)
    names = [name for record in sample if not isinstance(record, str) for name in record]
    if not names:
        raise ProductFileError(f"{path} holds no JSON object; expected one for each product")
    header = tuple(dict.fromkeys(names))
    return JsonRecords(path=path, encoding=encoding, header=header, form=form_name)


def _opened(path: Path, encoding: str) -> TextIO:
    name = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    return io.TextIOWrapper(open_bytes(path), encoding=name, errors="replace")


def _records(path: Path, encoding: str, form: str) -> Iterator[Record | str]:
    with _opened(path, encoding) as file:
        try:
            yield from _lines(file) if form == "JSON lines" else _list_items(file)
        except (OSError, UnicodeError) as error:
            raise ProductFileError(f"{path} cannot be read: {error}") from error


def _lines(file: TextIO) -> Iterator[Record | str]:
    """Objects that stand one on a line; one that spans lines is read when none else fits."""
    line_number = 0
    while line := file.readline(LONGEST_RECORD_CHARACTERS):
        line_number += 1
        if not line.strip():
            continue
        try:
            yield _as_record(json.loads(line), f"line {line_number}")
        except (ValueError, RecursionError) as error:
            if line_number == 1 and line.strip() in ("{", "[{"):
                yield from _list_items(file, line)
                return
            yield f"line {line_number}: is no JSON object: {error}"


def _list_items(file: TextIO, read: str = "") -> Iterator[Record | str]:
    """Objects of a list, one after another, so that the list is never whole in memory."""
    decoder = json.JSONDecoder()
    text = read + file.read(_BLOCK_CHARACTERS)
    opening = _LIST_WITHIN.match(text)
    position = opening.end() if opening else 0
    position = text.find("[", position) + 1 if opening or text.lstrip()[:1] == "[" else 0
    number = 0
    while True:
        between = _BETWEEN.match(text, position)
        position = between.end() if between else position
        if text[position : position + 1] == "]":
            return
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            block = file.read(max(_BLOCK_CHARACTERS, len(text) - position))
            text, position = text[position:] + block, 0
            if not block or len(text) > LONGEST_RECORD_CHARACTERS:
                if text.strip():
                    yield f"object {number + 1}: is no JSON: {error}; the rest cannot be read"
                return
            continue
        number += 1
        yield _as_record(value, f"object {number}")


def _as_record(value: object, place: str) -> Record | str:
    if isinstance(value, dict):
        return cast(Record, value)
    return f"{place}: must be a JSON object, got {value!r:.40}"
