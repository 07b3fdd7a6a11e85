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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from twinshelf.client.files.forms.json_lists import (
    DECODER,
    JsonLists,
    begin_list,
    without_last_commas,
)
from twinshelf.client.files.forms.json_shapes import (
    ListedRows,
    Record,
    reason_for_none,
    rows_within,
)
from twinshelf.client.files.forms.stored_bytes import open_bytes
from twinshelf.client.files.forms.text_encoding import FoundEncoding, errors_of, find_encoding
from twinshelf.client.files.names.columns import (
    has_embedded,
    has_price,
    has_title,
    is_price_of_part,
)
from twinshelf.client.files.names.plain_name import PRICED_PARTS, WRAPPERS
from twinshelf.client.files.rows import ProductFileError, TableForm
from twinshelf.client.files.values.cell_values import nested_within, pair_of

LONGEST_RECORD_CHARACTERS = 64 * 1024 * 1024
_BLOCK_CHARACTERS = 1 << 20
# Records of one file may lack what others have; these many tell which columns there are.
_SAMPLE_RECORDS = 1000
# Objects further within than these hold no field, and more columns none that anybody looks at.
_DEEPEST, _MOST_FURTHER = 7, 1000
# A mark of its encoding stands where another file was joined to the first.
_BETWEEN = re.compile(r"[\s,\ufeff]*")
_AROUND = ("edges", "nodes", "node")
# What JSON-LD says of a shop's page besides its products.
_NO_PRODUCTS = frozenset(
    "Organization OnlineStore Corporation LocalBusiness Store WebSite WebPage CollectionPage"
    " BreadcrumbList ImageObject Person SearchAction".split()
)
# Of these an object has one, though a list of it.
_DETAILS = re.compile(r"(?:detail|summar(?:y|ie))s?$", re.IGNORECASE)
_LISTS_IN_LINES = re.compile(r"\s*\[[^][{}]*\][^\S\n]*+\n\s*+\[")


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
        yield from _records(self.path, self.encoding, self.form)


def _is_without_names(record: Record) -> bool:
    """Whether a row is one of BigQuery's: {"f": [{"v": "K1"}, {"v": "Kettle"}]}."""
    cells = record.get("f")
    if record.keys() != {"f"} or not isinstance(cells, list):
        return False
    return all(isinstance(each, dict) and [*each] == ["v"] for each in cells)


def value_of(record: Mapping[str, object], name: str) -> object:
    """Returns a value of an object, or of one within; None when it is not there."""
    if name in record:
        return record[name]
    outer, point, inner = name.partition(".")
    return value_of(_object_within(record, outer), inner) if point else None


def _object_within(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    """The object of that name, of several offers or variants the first; {} where there is none."""
    value = record.get(name)
    if name == "relationships":  # JSON:API's, the numbers of other things
        return {}
    if name.casefold() in (*WRAPPERS, *PRICED_PARTS) or _DETAILS.search(name):
        value = _first_of(value)
    if name == "custom_attributes" and isinstance(value, list):  # Magento's, pairs in a list
        value = {str(pair[0]): pair[1] for pair in map(pair_of, value) if pair}
    # What such an object holds is told together with how many of its digits are decimals.
    if not isinstance(value, Mapping) or "currency_minor_unit" in value:
        return {}
    return value


def _first_of(value: object) -> object:
    """The first of a list, also of one that GraphQL lays its own objects around."""
    if isinstance(value, list) and value:
        return _first_of(value[0])
    around = [key for key in _AROUND if isinstance(value, Mapping) and key in value]
    if isinstance(value, Mapping) and around:
        return _first_of(value[around[0]])
    return value


def open_json(path: Path, form: TableForm) -> JsonRecords:
    """Finds the form of a JSON table.

    Args:
        path: The file; may be compressed.
        form: What is known of its form: the encoding alone counts.

    Raises:
        ProductFileError: If the file is empty, or holds anything but objects.
    """
    encoding = find_encoding(path, form.encoding)
    with _opened(path, encoding) as file:
        start = file.read(_BLOCK_CHARACTERS)
    is_list = start.lstrip().startswith("[") and not _LISTS_IN_LINES.match(start)
    is_list = is_list or begin_list(start)[0] or _is_one_value(start)
    form_name = "JSON" if is_list else "JSON lines"
    sample = [*itertools.islice(_records(path, encoding, form_name), _SAMPLE_RECORDS)]
    records = [record for record in sample if not isinstance(record, str)]
    if not any(records):
        reason = next((f" ({each})" for each in sample if isinstance(each, str)), "")
        message = f"{path} holds no JSON object; expected one for each product"
        raise ProductFileError(message + reason)
    if all(map(_is_without_names, records)):
        raise ProductFileError(
            f"{path} holds rows as BigQuery's service answers them, values without the names of "
            "their columns; export the table as JSON lines, CSV or Parquet instead"
        )
    if len(sample) == 1 and (reason := reason_for_none(records[0])):
        raise ProductFileError(f"{path} {reason}")
    return JsonRecords(path=path, encoding=encoding, header=header_of(records), form=form_name)


def header_of(records: Sequence[Record]) -> tuple[str, ...]:
    """Names the columns of objects in the order of their first use, then those of objects within.

    Where none of these is a title, those further within are columns as well.

    Args:
        records: The first objects.
    """
    names = [name for record in records for name in record]
    inner: dict[str, list[str]] = {}
    for record in records:
        for name in record:
            inner.setdefault(name, []).extend(_object_within(record, name))
    # What wraps the product is no field of it, whatever its name: "Item", "_source".
    own = [n for n in names if n.casefold() not in WRAPPERS or not has_embedded(tuple(inner[n]))]
    behind = [f"{name}.{each}" for name, found in inner.items() for each in found]
    header = tuple(dict.fromkeys(own + behind))
    plain = [n for n in header if not any(isinstance(value_of(r, n), Mapping) for r in records)]
    is_titled = has_title(plain)
    if is_titled and has_price(header):
        return header
    # Where the title is known, of what stands further within the price alone counts.
    further = (
        name
        for record in records
        for name in _names_further_within(record)
        if not is_titled or is_price_of_part(name)
    )
    return tuple(dict.fromkeys((*header, *itertools.islice(dict.fromkeys(further), _MOST_FURTHER))))


def _names_further_within(record: Mapping[str, object], depth: int = _DEEPEST) -> Iterator[str]:
    for name in record if depth else ():
        yield name
        for each in _names_further_within(_object_within(record, name), depth - 1):
            yield f"{name}.{each}"


def _is_one_value(start: str) -> bool:
    """Whether a short file is a single object, over however many lines."""
    if len(start) == _BLOCK_CHARACTERS:
        return False
    try:
        return isinstance(json.loads(start, strict=False), dict)
    except (ValueError, RecursionError):
        return False


def _opened(path: Path, encoding: FoundEncoding) -> TextIO:
    is_utf_8 = codecs.lookup(encoding.name).name == "utf-8"
    name = "utf-8-sig" if is_utf_8 else encoding.name
    return io.TextIOWrapper(open_bytes(path), encoding=name, errors=errors_of(encoding))


def _records(path: Path, encoding: FoundEncoding, form: str) -> Iterator[Record | str]:
    with _opened(path, encoding) as file:
        try:
            found = _lines(file) if form == "JSON lines" else _list_items(file)
            first = list(itertools.islice(found, 2))
            for record in itertools.chain(first, found):
                if isinstance(record, str):
                    yield record
                    continue
                is_alone = len(first) == 1
                for row in rows_within(record, is_alone=is_alone):
                    if row is record and is_alone or str(row.get("@type")) not in _NO_PRODUCTS:
                        yield row
        except (OSError, UnicodeError) as error:
            raise ProductFileError(f"{path} cannot be read: {error}") from error


def _lines(file: TextIO) -> Iterator[Record | str]:
    """Objects that stand one on a line; one that spans lines is read when none else fits."""
    line_number, listed, is_of_lists = 0, ListedRows(), False
    action: Record = {}  # of Elasticsearch, for the line behind it
    while line := file.readline(LONGEST_RECORD_CHARACTERS):
        line_number += 1
        text = line.strip().strip("\ufeff").rstrip(",")
        if not text:
            continue
        try:
            value = json.loads(text, strict=False)
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
            # Python's notation, as in Amazon's, or a template's commas.
            if isinstance(value := nested_within(without_last_commas(text)), dict):
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
    text = read + file.read(_BLOCK_CHARACTERS)
    is_within, position = begin_list(text)
    is_open = position > 0
    number, listed, lists = 0, ListedRows(), JsonLists()
    while True:
        position = _skip_between(text, position)
        if text[position : position + 1] == "]":
            # Another list may follow, or on the next line the next page of an answer.
            text = text[position + 1 :] + file.read(_BLOCK_CHARACTERS)
            if not is_within:
                text = text.lstrip(" \t\r\n,;\ufeff")
                position = int(text.startswith("["))
            elif (position := lists.next_in(text)) == 0:
                return
            is_open = position > 0
            continue
        try:
            value, text, position = _decoded(text, position)
        except (ValueError, RecursionError) as error:
            if place := lists.place_behind(text, position, error):
                number, position = number + 1, place
                yield f"object {number}: is no JSON: {error}"
                continue
            # Doubled each time, so that a long object is not parsed from its start for each block.
            block = file.read(max(_BLOCK_CHARACTERS, len(text) - position))
            text, position = text[position:] + block, 0
            if not block or len(text) > LONGEST_RECORD_CHARACTERS:
                yield from _rest(text, is_open, number + 1, error)
                return
            continue
        if not lists.takes(value):
            continue
        number += 1
        yield from _read_by(listed, value, number)


def _rest(text: str, is_open: bool, number: int, error: Exception) -> Iterator[str]:
    """What is wrong with the rest of a file that holds no other object."""
    if text.strip():
        yield f"object {number}: is no JSON: {error}; the rest cannot be read"
    elif is_open:
        yield f"object {number}: is not there: the list breaks off before its end"


def _decoded(text: str, position: int) -> tuple[object, str, int]:
    """The value at a place, the text, without its last commas if need be, and the value's end."""
    try:
        value, end = DECODER.raw_decode(text, position)
    except ValueError:
        mended = without_last_commas(text[position:])
        if len(mended) < len(text) - position:
            with suppress(ValueError):
                value, end = DECODER.raw_decode(mended)
                return value, mended, end
        raise
    return value, text, end


def _skip_between(text: str, position: int) -> int:
    between = _BETWEEN.match(text, position)
    return between.end() if between else position


def _read_by(listed: ListedRows, value: object, number: int) -> Iterator[Record | str]:
    if (row := listed.read(value)) is not None or value is None:
        yield _as_record(row, f"object {number}")


def _as_record(value: object, place: str) -> Record | str:
    if isinstance(value, str) and isinstance(inner := nested_within(value), dict):
        return inner
    if isinstance(value, dict):
        return cast(Record, value)
    return f"{place}: must be a JSON object, got {value!r:.40}"
