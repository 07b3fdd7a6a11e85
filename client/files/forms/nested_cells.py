"""Objects that stand in cells as JSON, as databases keep them: what they hold are columns too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from twinshelf.client.files.forms.json_records import header_of
from twinshelf.client.files.forms.json_shapes import Record
from twinshelf.client.files.names.column_names import is_other_object, names_by_word
from twinshelf.client.files.names.columns import has_title
from twinshelf.client.files.names.plain_name import WRAPPERS
from twinshelf.client.files.values.cell_values import object_of


def names_no_title(header: Iterable[str]) -> bool:
    """Whether no column is called a title, so that one may stand within."""
    names = tuple(header)
    return not has_title(names) and not any(names_by_word(name, "title") for name in names)


def columns_within(rows: Iterable[Mapping[str, object]]) -> dict[str, str]:
    """Finds what the objects in cells hold, where one column's hold titles.

    Args:
        rows: The first rows, by the names of their columns.

    Returns:
        The name of each further column, "data.title", to that in whose cells it stands.
    """
    records: dict[str, list[Record]] = {}
    for row in rows:
        for column, cell in row.items():
            if cell not in (None, ""):
                records.setdefault(column, []).append({column: object_in(cell)})
    found: dict[str, str] = {}
    for column, objects in records.items():
        is_other = is_other_object(column) and column.casefold() not in WRAPPERS
        if all(each[column] for each in objects) and not is_other:
            names = [name for name in header_of(objects) if name != column]
            if has_title([name.rpartition(".")[2] for name in names]):
                found |= dict.fromkeys(names, column)
    return found


def object_in(cell: object) -> Record:
    """The object that a text spells as JSON; {} where it is none."""
    if isinstance(cell, str) and cell.lstrip().startswith("{"):
        with suppress(ValueError):
            return object_of(cell)
    return {}
