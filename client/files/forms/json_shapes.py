"""What of a JSON answer is a row of the table: lists within, columns, rows that are lists."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import TypeGuard, cast

from twinshelf.client.files.names.column_names import names_by_word
from twinshelf.client.files.names.columns import has_embedded, has_title, named_fields
from twinshelf.client.files.names.plain_name import PARTS, WRAPPERS
from twinshelf.client.files.values.cell_values import nested_within

# The features of an answer of Hugging Face describe its columns.
LIST_NAME = (
    r"products?|items|data|results?|rows|records|entries|hits|goods|listings|docs|edges|nodes"
    r'|features(?!"\s*:\s*\[\s*\{\s*"feature_idx")|@graph|catalog\w*|feed|itemlistelement'
    r"|json_?-?ld|ld_?-?json|offers"
)
_IS_LIST_NAME = re.compile(LIST_NAME, re.IGNORECASE)
# What other lists of named things an answer may have.
NO_TABLES = frozenset(
    "categories tags filters facets options errors links schema params included".split()
)
_DEPTH_OF_TABLE = 6
# Of rows that are lists: where they stand, where the names of their columns, how far down at most.
_ROW_KEYS = frozenset(("values", "rows", "data", "table", "records", "results"))
_NAME_KEYS = ("columns", "header", "headers", "fields", "names", "meta")
_ROWS_ABOVE_NAMES = 5
_SAMPLE_OBJECTS = 100
# An item that is a variant of a product names no more.
_FIELDS_OF_PART = 2
# What streams of rows say besides.
_OWN_MESSAGES = ("SCHEMA", "STATE", "ACTIVATE_VERSION", "LOG", "SPEC", "CATALOG", "TRACE")
Record = dict[str, object]


def rows_within(record: Record, *, is_alone: bool) -> Iterator[Record]:
    """The rows of an object of columns, or of what an answer wraps; else the object.

    One that is alone in its file may also be of columns whose keys are rows, or have a row behind
    each identifier.
    """
    body = record.get("body")
    if is_alone and isinstance(body, str) and (answer := nested_within(body)):
        yield from rows_within({"body": answer}, is_alone=True)  # what a gateway passes on
        return
    if (parts := _parts_of(record)) is not None:
        yield from parts
        return
    values = list(record.values())
    lists = [value for value in values if isinstance(value, list)]
    is_named = has_embedded(
        tuple(
            name
            for name, value in record.items()
            if not _are_objects(value) and not (is_alone and _is_answer(name, value))
        )
    )
    if is_alone and not is_named and (rows := list(_listed_rows(record))):
        yield from rows
        return
    is_of_columns = len(lists) == len(values) > 1 and len({*map(len, lists)}) == 1
    if is_of_columns and not all(map(_are_objects, lists)):
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


def _parts_of(record: Record) -> list[Record] | None:
    """The products of a category, the rows of a table of phpMyAdmin's; None for other objects."""
    if (message := _message_of(record)) is not None:
        return message
    kind = record.get("type")
    if kind == "header" and "version" in record or kind == "database" and len(record) == 2:
        return []
    inner = record.get("data" if kind == "table" else "products")
    if not _are_objects(inner):
        return None
    rows = cast(list[Record], inner)
    own = tuple(name for name, value in record.items() if value is not inner)
    is_around = kind == "table" or 0 < named_fields(own) < named_fields(tuple(rows[0]))
    return rows if is_around else None


def _rows_of(record: Record) -> list[Record]:
    """The products of a shop or a section, else the object itself."""
    parts = _parts_of(record)
    return [record] if parts is None else parts


def _message_of(record: Record) -> list[Record] | None:
    """The row in a message of Singer's, Airbyte's or Debezium's; none is in those of their own."""
    kind, inner = record.get("type"), record.get("record")
    if kind == "RECORD" and isinstance(inner, dict):
        data = inner.get("data")
        return [data if isinstance(data, dict) and "stream" in inner else inner]
    if kind in _OWN_MESSAGES and len(record) > 1 and not has_title(tuple(record)):
        return []
    change = record.get("payload", record)
    if isinstance(change, dict) and change.keys() >= {"before", "after", "op"}:
        return [change["after"]] if isinstance(change["after"], dict) else []
    return None


def _under_headings(table: list[Record]) -> list[Record]:
    """What stands under the headings of an answer, [{"title": "Results", "items": […]}]."""
    if not all(_is_heading(record) for record in table):
        return table
    return [row for record in table for row in cast(list[Record], record["items"])]


def _is_heading(record: Record) -> bool:
    """Whether an object has a title alone, and items that have one and more; a product is none."""
    items = record.get("items")
    if not _are_objects(items):
        return False
    names = tuple(cast(list[Record], items)[0])
    is_bare = named_fields(tuple(record.keys() - {"items"})) == 1
    return is_bare and has_title(names) and named_fields(names) > _FIELDS_OF_PART


def _unwrapped(record: Record, *, is_alone: bool) -> Iterator[Record]:
    """The lists within an object that name most of a product, or what identifiers stand before."""
    if is_alone and (product := _only_product(record)) is not None:
        yield product
    elif tables := list(_tables_within(record if is_alone else _listed_within(record))):
        names = [{name for each in table for name in _names_within(each)} for table in tables]
        fields = [named_fields(tuple(each)) for each in names]
        best = names[fields.index(max(fields))]
        for table, each, count in zip(tables, names, fields, strict=True):
            # Lists of one kind are one table.
            if count == max(fields) or 2 * len(each & best) > len(each | best):
                yield from _under_headings(table)
    elif is_alone and (keyed := _keyed_within(record)):
        yield from _keyed_rows(keyed)
    elif is_alone and (lists := [*filter(_are_objects, _listed_within(record).values())]):
        yield from max(cast(list[list[Record]], lists), key=len)
    else:
        yield record


def _only_product(answer: Record, depth: int = _DEPTH_OF_TABLE) -> Record | None:
    """The one product of an answer, {"product": {…}}, whose lists tell of parts and of others."""
    objects = [value for value in answer.values() if isinstance(value, (dict, list))]
    if len(objects) != 1 or not isinstance(objects[0], dict) or not depth:
        return None
    inner = cast(Record, objects[0])
    if not has_title(tuple(n for n, value in inner.items() if not isinstance(value, dict))):
        return _only_product(inner, depth - 1)
    own_count = named_fields(tuple(inner))
    for name, value in inner.items():
        rows = [row for table in _tables_within({name: value}) for row in table]
        count = max((named_fields(_names_within(row)) for row in rows), default=0)
        # A heading of a list of products may have as many fields as each of them.
        may_head = name == "items" or (_IS_LIST_NAME.fullmatch(name) and name not in PARTS)
        if count > own_count or (count == own_count and may_head):
            return None
    return inner if own_count > _FIELDS_OF_PART else None


def reason_for_none(answer: Record) -> str:
    """Why an answer holds no product: its list is empty, or it says an error; "" for others."""
    if named_fields(tuple(answer)):
        return ""
    empty = [name for name, value in _listed_within(answer).items() if value == []]
    if empty:
        return f"holds no product: its list {empty[0]!r} is empty"
    error = next((answer[name] for name in ("error", "errors") if answer.get(name)), None)
    return f"is an answer that tells of an error, not of products: {error!s:.80}" if error else ""


def _is_answer(name: str, value: object) -> bool:
    """Whether an object called "body" or the like holds the table, and is no description."""
    is_other = isinstance(value, dict) and name.casefold() not in WRAPPERS
    return is_other and any(True for _ in _tables_within(value))


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
    named = ListedRows(_names_beside(value))
    tables = {key: rows for key, rows in value.items() if _is_of_lists(rows)}
    if len(tables) == len(value) or tables.keys() <= _ROW_KEYS:
        for rows in tables.values():
            reader = named if named.names else ListedRows()
            yield from (row for each in rows if isinstance(row := reader.read(each), dict))
    if not tables:
        for inner in value.values():
            yield from _listed_rows(inner, depth - 1)


def _names_beside(value: Mapping[str, object]) -> tuple[str, ...]:
    """The names of columns beside rows, of Socrata within what it says of the view."""
    if names := next(filter(None, (_names_of(value.get(key)) for key in _NAME_KEYS)), ()):
        return names
    inner = next((value[key] for key in ("meta", "view") if key in value), None)
    return _names_beside(inner) if isinstance(inner, Mapping) else ()


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _is_of_lists(value: object) -> TypeGuard[list[list[object]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(r, list) for r in value)


def _names_of(value: object) -> tuple[str, ...]:
    """The names of columns that a list holds, "" for one without; () if none tells of products."""
    if not isinstance(value, list):
        return ()
    cells = [each.get("name", each.get("id")) if isinstance(each, dict) else each for each in value]
    if any(isinstance(cell, (list, dict)) for cell in cells):
        return ()
    names = tuple("" if cell is None else str(cell) for cell in cells)
    is_told = has_embedded(names) or any(names_by_word(name, "title") for name in names)
    return names if is_told and len(names) > 1 else ()


class ListedRows:
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
        if _are_objects(records) and _name_products(cast(list[Record], records)):
            yield [row for each in records for row in _rows_of(each)]
        elif _are_objects(records) and depth:  # an answer to each of several questions
            for each in records:
                yield from _tables_within(each, depth - 1)
    elif isinstance(value, dict) and depth:
        # Beside rows, the features of Hugging Face describe the columns.
        no_tables = NO_TABLES | {"features"} if "rows" in value else NO_TABLES
        for name, inner in value.items():
            if name not in no_tables:
                yield from _tables_within(inner, depth - 1)
            elif _are_objects(inner):  # categories, with the products of each
                for each in cast(list[Record], inner):
                    yield from _tables_within(each, depth - 1)


def _name_products(records: list[Record]) -> bool:
    """Whether most objects name what is embedded; programs leave out what one does not have."""
    return 2 * sum(has_embedded(_names_within(each)) for each in records) > len(records)


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
