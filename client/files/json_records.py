"""JSON tables: one object a line, a list of objects, or an object that holds either.

An object of columns, as pandas writes it, and one whose keys are identifiers are tables as well; so
are rows that are lists, with the names in the first or in a list of their own.
"""

from __future__ import annotations

import codecs
import io
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeGuard, cast

from twinshelf.client.files.cell_values import nested_within
from twinshelf.client.files.column_names import WRAPPERS, names_by_word
from twinshelf.client.files.columns import has_embedded, named_fields
from twinshelf.client.files.rows import ProductFileError, TableForm
from twinshelf.client.files.stored_bytes import open_bytes
from twinshelf.client.files.text_encoding import FoundEncoding, find_encoding

LONGEST_RECORD_CHARACTERS = 64 * 1024 * 1024
_BLOCK_CHARACTERS = 1 << 20
# Records of one file may lack what others have; these many tell which columns there are.
_SAMPLE_RECORDS = 1000
_SAMPLE_OBJECTS = 100
_BETWEEN = re.compile(r"[\s,]*")
_KEY = r'\s*"(?:[^"\\]|\\.)*"\s*:\s*'
_PLAIN_MEMBER = (
    _KEY + r'(?:"(?:[^"\\]|\\.)*"|[-+.\w]+|\{(?:[^][{}]|\{[^][{}]*\})*+\}|\[[^][{}]*\])\s*,'
)
# The features of an answer of Hugging Face describe its columns.
_LIST_NAME = (
    r"products?|items|data|results?|rows|records|entries|hits|goods|listings|docs|edges|nodes"
    r'|features(?!"\s*:\s*\[\s*\{\s*"feature_idx")|@graph|catalog\w*|feed|itemlistelement|offers'
)
_IS_LIST_NAME = re.compile(_LIST_NAME, re.IGNORECASE)
_LIST_KEY = rf'\s*"(?:{_LIST_NAME.removesuffix("|offers")})"\s*:\s*'
# The list of an answer such as {"count": 2, "products": [{. A product may have offers as well, so
# that these are such a list only where nothing stands before them.
_LIST_WITHIN = re.compile(
    rf'\s*(?:(?:\{{(?:{_PLAIN_MEMBER})*+{_LIST_KEY})+|\{{\s*"offers"\s*:\s*)(?=\[\s*\{{)',
    re.IGNORECASE,
)
# What JSON-LD says of a shop's page besides its products.
_NO_PRODUCTS = frozenset(
    "Organization OnlineStore Corporation LocalBusiness Store WebSite WebPage CollectionPage"
    " BreadcrumbList ImageObject Person SearchAction".split()
)
# What other lists of named things an answer may have.
_NO_TABLES = frozenset("categories tags filters facets options errors links schema params".split())
_DEPTH_OF_TABLE = 4
# Of rows that are lists: where they stand, where the names of their columns, how far down at most.
_ROW_KEYS = frozenset(("values", "rows", "data", "table"))
_NAME_KEYS = ("columns", "header", "headers", "fields", "names", "meta")
_ROWS_ABOVE_NAMES = 5
_LISTS_IN_LINES = re.compile(r"\s*\[[^][{}]*\][^\S\n]*+\n\s*+\[")
Record = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRecords:
    """A table of JSON objects.

    Attributes:
        path: The file.
        encoding: Its encoding.
        header: Names that the first objects have, in the order of their first use; those of an
            object within behind its own: "offers.price".
        form: "JSON" for one list, "JSON lines" for one object a line.
    """

    path: Path
    encoding: FoundEncoding
    header: tuple[str, ...]
    form: str

    def rows(self) -> Iterator[Record | str]:
        """Yields each object, or why one cannot be read.

        Raises:
            ProductFileError: If the file breaks off.
        """
        yield from _records(self.path, self.encoding.name, self.form)


def value_of(record: Mapping[str, object], name: str) -> object:
    """Returns a value of an object, or of one within; None when it is not there."""
    if name in record:
        return record[name]
    outer, point, inner = name.partition(".")
    return _object_within(record, outer).get(inner) if point else None


def _object_within(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    """The object of that name, of several offers or variants the first; {} where there is none."""
    value = record.get(name)
    if name.casefold() in WRAPPERS and isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, Mapping) else {}


def open_json(path: Path, form: TableForm) -> JsonRecords:
    """Finds the form of a JSON table.

    Args:
        path: The file; may be compressed.
        form: What is known of its form: the encoding alone counts.

    Raises:
        ProductFileError: If the file is empty, or holds anything but objects.
    """
    encoding = find_encoding(path, form.encoding)
    with _opened(path, encoding.name) as file:
        start = file.read(_BLOCK_CHARACTERS)
    is_list = start.lstrip().startswith("[") and not _LISTS_IN_LINES.match(start)
    is_list = is_list or _LIST_WITHIN.match(start) is not None or _is_one_value(start)
    form_name = "JSON" if is_list else "JSON lines"
    sample = itertools.islice(_records(path, encoding.name, form_name), _SAMPLE_RECORDS)
    records = [record for record in sample if not isinstance(record, str)]
    if not any(records):
        raise ProductFileError(f"{path} holds no JSON object; expected one for each product")
    return JsonRecords(path=path, encoding=encoding, header=header_of(records), form=form_name)


def header_of(records: Sequence[Record]) -> tuple[str, ...]:
    """Names the columns of objects in the order of their first use, then those of objects within.

    Args:
        records: The first objects.
    """
    names = [name for record in records for name in record]
    inner: dict[str, list[str]] = {}
    for record in records:
        for name in record:
            within = () if name == "relationships" else _object_within(record, name)
            inner.setdefault(name, []).extend(within)
    # What wraps the product is no field of it, whatever its name: "Item", "_source".
    own = [n for n in names if n.casefold() not in WRAPPERS or not has_embedded(tuple(inner[n]))]
    behind = [f"{name}.{each}" for name, found in inner.items() for each in found]
    return tuple(dict.fromkeys(own + behind))


def _is_one_value(start: str) -> bool:
    """Whether a short file is a single object, over however many lines."""
    if len(start) == _BLOCK_CHARACTERS:
        return False
    try:
        return isinstance(json.loads(start), dict)
    except (ValueError, RecursionError):
        return False


def _opened(path: Path, encoding: str) -> TextIO:
    name = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    return io.TextIOWrapper(open_bytes(path), encoding=name, errors="replace")


def _records(path: Path, encoding: str, form: str) -> Iterator[Record | str]:
    with _opened(path, encoding) as file:
        try:
            found = _lines(file) if form == "JSON lines" else _list_items(file)
            first = list(itertools.islice(found, 2))
            for record in itertools.chain(first, found):
                if isinstance(record, str):
                    yield record
                    continue
                is_alone = len(first) == 1
                if is_alone or str(record.get("@type")) not in _NO_PRODUCTS:
                    yield from _rows_within(record, is_alone=is_alone)
        except (OSError, UnicodeError) as error:
            raise ProductFileError(f"{path} cannot be read: {error}") from error


def _rows_within(record: Record, *, is_alone: bool) -> Iterator[Record]:
    """The rows of an object of columns, or of what an answer wraps; else the object.

    One that is alone in its file may also be of columns whose keys are rows, or have a row behind
    each identifier.
    """
    values = list(record.values())
    lists = [value for value in values if isinstance(value, list)]
    is_named = has_embedded(
        tuple(name for name, value in record.items() if not _are_objects(value))
    )
    if is_alone and not is_named and (rows := list(_listed_rows(record))):
        yield from rows
        return
    if len(lists) == len(values) > 1 and len({*map(len, lists)}) == 1:
        yield from (dict(zip(record, cells, strict=True)) for cells in zip(*lists, strict=True))
        return
    objects = [value for value in values if isinstance(value, dict)]
    if is_alone and len(objects) == len(values) > 1:
        keys = max(objects, key=len)
        if is_named and all(keys.keys() >= value.keys() for value in objects):
            for key in keys:
                yield {name: cast(Record, value).get(key) for name, value in record.items()}
            return
        if not is_named and _are_rows(record):
            yield from _keyed_rows(record)
            return
    if is_named and not (is_alone and len(objects) == len(values)):
        yield record
    else:
        yield from _unwrapped(record, is_alone=is_alone)


def _unwrapped(record: Record, *, is_alone: bool) -> Iterator[Record]:
    """The lists within an object that name most of a product, or what identifiers stand before."""
    if tables := list(_tables_within(record if is_alone else _listed_within(record))):
        fields = [named_fields(_names_within(table[0])) for table in tables]
        for table, count in zip(tables, fields, strict=True):
            if count == max(fields):  # lists of one kind are one table
                yield from table
    elif is_alone and (keyed := _keyed_within(record)):
        yield from _keyed_rows(keyed)
    elif is_alone and (lists := [*filter(_are_objects, _listed_within(record).values())]):
        yield from max(cast(list[list[Record]], lists), key=len)
    else:
        yield record


def _listed_within(record: Record) -> Record:
    """What an object holds under the usual names of a list: else the things are its own."""
    return {name: value for name, value in record.items() if _IS_LIST_NAME.fullmatch(name)}


def _listed_rows(value: object, depth: int = _DEPTH_OF_TABLE) -> Iterator[Record]:
    """Rows that are lists: of pandas' `split`, Google Sheets, ClickHouse, or of several sheets."""
    if isinstance(value, list):
        for each in value:
            if isinstance(each, dict):
                yield from _listed_rows(each, depth)
        return
    if not isinstance(value, dict) or not depth:
        return
    named = _ListedRows(next(filter(None, (_names_of(value.get(key)) for key in _NAME_KEYS)), ()))
    tables = {key: rows for key, rows in value.items() if _is_of_lists(rows)}
    if len(tables) == len(value) or tables.keys() <= _ROW_KEYS:
        for rows in tables.values():
            reader = named if named.names else _ListedRows()
            yield from (row for each in rows if isinstance(row := reader.read(each), dict))
    if not tables:
        for inner in value.values():
            yield from _listed_rows(inner, depth - 1)


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _is_of_lists(value: object) -> TypeGuard[list[list[object]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(r, list) for r in value)


def _names_of(value: object) -> tuple[str, ...]:
    """The names of columns that a list holds, "" for one without; () if none tells of products."""
    if not isinstance(value, list):
        return ()
    cells = [each.get("name") if isinstance(each, dict) else each for each in value]
    if any(isinstance(cell, (list, dict)) for cell in cells):
        return ()
    names = tuple("" if cell is None else str(cell) for cell in cells)
    is_told = has_embedded(names) or any(names_by_word(name, "title") for name in names)
    return names if is_told and len(names) > 1 else ()


class _ListedRows:
    """Makes objects of rows that are lists, whose names stand in one of the first."""

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        """Begins with the names, where they stand elsewhere."""
        self.names = names
        self._skipped_count = 0

    def read(self, value: object) -> object:
        """Returns a row as an object; None for names and what stands above; else the value."""
        if not isinstance(value, list):
            return value
        if not self.names and self._skipped_count < _ROWS_ABOVE_NAMES:
            self._skipped_count += 1
            self.names = _names_of(value)
            return None
        if not self.names:
            return value
        record: Record = {}
        for name, cell in zip(self.names, value, strict=False):  # the last cells may lack
            if name:
                record.setdefault(name, cell)
        return record or None


def _tables_within(value: object, depth: int = _DEPTH_OF_TABLE) -> Iterator[list[Record]]:
    """Lists of objects that an answer wraps under other names than the usual."""
    if isinstance(value, list):
        records = [each for each in value if each is not None]
        if records and all(isinstance(r, dict) and has_embedded(_names_within(r)) for r in records):
            yield records
    elif isinstance(value, dict) and depth:
        for name, inner in value.items():
            if name not in _NO_TABLES:
                yield from _tables_within(inner, depth - 1)


def _names_within(record: Record) -> tuple[str, ...]:
    """The names of a record's values, and of those that an object around the product holds."""
    wrapped = (v for name, v in record.items() if name in WRAPPERS and isinstance(v, dict))
    return (*record, *(name for value in wrapped for name in value))


def _keyed_within(record: Record, depth: int = _DEPTH_OF_TABLE) -> Record | None:
    """The first object within an answer whose keys are identifiers."""
    for inner in record.values() if depth else ():
        if isinstance(inner, dict):
            if len(inner) > 1 and _are_rows(inner):
                return inner
            if found := _keyed_within(inner, depth - 1):
                return found
    return None


def _are_rows(record: Record) -> bool:
    """Whether all values are objects, and one of the first names what is embedded."""
    values = record.values()
    first = itertools.islice(values, _SAMPLE_OBJECTS)
    return all(isinstance(value, dict) for value in values) and any(
        has_embedded(tuple(cast(Record, value))) for value in first
    )


def _keyed_rows(record: Record) -> Iterator[Record]:
    return ({"product_id": key} | cast(Record, value) for key, value in record.items())


def _lines(file: TextIO) -> Iterator[Record | str]:
    """Objects that stand one on a line; one that spans lines is read when none else fits."""
    line_number, listed, is_of_lists = 0, _ListedRows(), False
    action: Record = {}  # of Elasticsearch, for the line behind it
    while line := file.readline(LONGEST_RECORD_CHARACTERS):
        line_number += 1
        text = line.strip().rstrip(",")
        if not text:
            continue
        try:
            value = json.loads(text)
            is_of_lists = isinstance(value, list) if line_number == 1 else is_of_lists
            row = listed.read(value) if is_of_lists else value
            if found := _action_of(value):
                action = found
                continue
            if action and isinstance(row, dict):
                row, action = action | row, {}
            if row is not None or value is None:
                yield _as_record(row, f"line {line_number}")
        except (ValueError, RecursionError) as error:
            if isinstance(value := nested_within(text), dict):  # Python's notation, as in Amazon's
                yield value
                continue
            is_joined = isinstance(error, json.JSONDecodeError) and error.msg == "Extra data"
            if line_number == 1 and (text in ("{", "[{") or is_joined):
                yield from _list_items(file, line)
                return
            yield f"line {line_number}: is no JSON object: {error}"


def _action_of(value: object) -> Record:
    """What a line of Elasticsearch's bulk form says of the next, `_id` among it; else {}."""
    if not isinstance(value, dict) or len(value) != 1:
        return {}
    ((name, told),) = value.items()
    is_action = name in ("index", "create") and isinstance(told, dict) and "_id" in told
    return {"_id": told["_id"]} if is_action else {}


def _list_items(file: TextIO, read: str = "") -> Iterator[Record | str]:
    """Objects of a list, one after another, so that the list is never whole in memory."""
    decoder = json.JSONDecoder()
    text = read + file.read(_BLOCK_CHARACTERS)
    opening = _LIST_WITHIN.match(text)
    position = opening.end() if opening else 0
    position = text.find("[", position) + 1 if opening or text.lstrip()[:1] == "[" else 0
    number, listed = 0, _ListedRows()
    while True:
        between = _BETWEEN.match(text, position)
        position = between.end() if between else position
        if text[position : position + 1] == "]":
            return
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            # Doubled each time, so that a long object is not parsed from its start for each block.
            block = file.read(max(_BLOCK_CHARACTERS, len(text) - position))
            text, position = text[position:] + block, 0
            if not block or len(text) > LONGEST_RECORD_CHARACTERS:
                if text.strip():
                    yield f"object {number + 1}: is no JSON: {error}; the rest cannot be read"
                return
            continue
        number += 1
        if (row := listed.read(value)) is not None or value is None:
            yield _as_record(row, f"object {number}")


def _as_record(value: object, place: str) -> Record | str:
    if isinstance(value, dict):
        return cast(Record, value)
    return f"{place}: must be a JSON object, got {value!r:.40}"
