"""The header of a table: where it stands, and how its columns are told apart."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import TypeVar

from twinshelf.client.files.names.plain_name import plain_name
from twinshelf.client.files.names.usual_names import USUAL_NAMES

_RULED = re.compile(r"\s*:?[-+=]{3,}[-+=:]*\s*|\s*[─-╿]{3,}\s*")
# A photo, an address, a number.
_NO_NAME = re.compile(r"//|\.\w{3,4}$|^[\W\d_]*$")
# Of the rows behind a preamble so many have several cells.
_WIDE_SHARE = 0.8
_FIELD_OF = {name: field for field, names in USUAL_NAMES.items() for name in names}
# A template's own lines stand before its header, such as the two of Amazon's.
_TEMPLATE_ROWS = 10
_FIELDS_OF_HEADER = 2
# What it is of, what it tells, its value, and where or when.
_COLUMNS_OF_FACTS = 5
Cell = TypeVar("Cell")


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names columns apart: one without a name by its number from 1, a second "title" "title 2".

    Args:
        names: As the file has them.
    """
    unique: dict[str, None] = {}
    for number, name in enumerate(names, start=1):
        name = name or str(number)
        again = (f"{name} {count}" for count in itertools.count(2))
        unique[name if name not in unique else next(n for n in again if n not in unique)] = None
    return tuple(unique)


def columns_beside(header: Sequence[str]) -> tuple[str, ...]:
    """Returns the columns of a second table to the right of the first: "Code 2", "Name 2".

    It has all columns of the first; where only some are twice, two tables were joined.

    Args:
        header: Names of the columns, told apart.
    """
    again = [name for name in header if name.endswith(" 2") and name[:-2] in header]
    first = header[: header.index(again[0])] if again else ()
    named = {name for place, name in enumerate(first, start=1) if name != str(place)}
    is_whole = count_named([*named]) > 1 and {name[:-2] for name in again} == named
    return tuple(again) if is_whole else ()


def count_preamble(rows: Sequence[Sequence[str]]) -> int:
    """Counts the rows before the header, such as a report's name: of one cell in a wider table.

    A row that names two fields or more is the header wherever it stands among the first; of
    several in a row, such as labels above the names, the last that names most.

    Args:
        rows: Cells of the first rows, the header among them.

    Returns:
        How many to skip; 0 where one of them is a field's usual name.
    """
    counts = [count_named(row) for row in rows[:_TEMPLATE_ROWS]]
    header = next((place for place, count in enumerate(counts) if count > 1), None)
    filled_counts = [sum(bool(cell.strip()) for cell in row) for row in rows]
    if header is not None and all(
        # A row of labels above the names may hold one by chance, but never as many of its own.
        not counts[place] or len({*filter(str.strip, rows[place])}) < filled_counts[header]
        for place in range(header)
    ):
        while header + 1 < len(counts) and counts[header + 1] >= counts[header]:
            header += 1
        return header
    start = next((place for place, count in enumerate(filled_counts) if count > 1), 0)
    if any(map(count_named, rows[:start])):
        return 0
    start += _is_grouped(rows[start : start + 2])
    behind = [
        count > 1
        for count, row in zip(filled_counts[start:], rows[start:], strict=True)
        if count and not all(map(is_ruled, filter(str.strip, row)))
    ]
    return start if sum(behind) >= _WIDE_SHARE * len(behind) else 0


def joined_header(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """Names columns by two rows, the first of which stands over several of the second's names.

    "Price" over "net" and "gross" is "Price net" and "Price gross"; what is merged over both rows
    stands in each.

    Args:
        first: Cells of the header.
        second: Cells of the row below it.

    Returns:
        The names; empty where the second row is none of names.
    """
    names, group, is_group = [], "", False
    for place, (above, below) in enumerate(itertools.zip_longest(first, second, fillvalue="")):
        if above and above != group:
            goes_on = [*first[place + 1 : place + 2]] in ([""], [above])
            goes_on = goes_on and any(second[place + 1 : place + 2])
            group = above if goes_on and below and below != above else ""
            is_group = is_group or bool(group)
        if below and (not (group or below == above) or _NO_NAME.search(below)):
            return ()
        group = group if below else ""
        names.append(f"{group} {below}" if group else above)
    return tuple(names) if is_group else ()


def _is_grouped(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of two rows names groups of the columns that the second names."""
    if len(rows) < 2 or count_named(rows[0]) or not count_named(rows[1]):
        return False
    is_narrower = sum(map(bool, rows[0])) < sum(map(bool, rows[1])) == len(rows[1])
    return is_narrower and not any(map(str.isdigit, "".join(rows[1])))


def count_comments(lines: Sequence[str]) -> int:
    """Counts the first lines that begin with "#" and name no field, as a header might: "#id"."""
    comments = itertools.takewhile(
        lambda line: line.startswith("#") and not count_named(re.split(r"[#,;|\t]", line)), lines
    )
    count = sum(1 for _ in comments)
    return count if count < len(lines) else 0


class ColumnOrder:
    """Puts cells into the header's order where a row further down names the columns in another."""

    def __init__(self, header: Sequence[str]) -> None:
        """Begins with the header's own order."""
        self._names = [name.casefold() for name in header]
        self._known = frozenset(self._names)
        self._places: list[int | None] | None = None

    def is_renamed(self, cells: Sequence[object]) -> bool:
        """Whether a row names the columns in another order, in which those behind it are."""
        first = next((cell for cell in cells if cell not in (None, "")), "")
        if not isinstance(first, str) or self._plain(first) not in self._known:
            return False
        named = [self._plain(str(cell)) if cell is not None else "" for cell in cells]
        filled = [name for name in named if name]
        is_header = self._known.issuperset(filled) and len({*filled}) == len(filled)
        is_header &= not any(named[len(self._names) :])  # what is wider is cut to the header
        if not is_header or count_named(filled) < _FIELDS_OF_HEADER:
            return False
        places = [named.index(name) if name in filled else None for name in self._names]
        is_same = all(place in (None, number) for number, place in enumerate(places))
        self._places = None if is_same else places
        return not is_same

    def ordered(self, cells: list[Cell], empty: Cell) -> list[Cell]:
        """The cells in the header's order; empty ones for columns that are not named anew."""
        if self._places is None:
            return cells
        return [empty if place is None else cells[place] for place in self._places]

    def _plain(self, cell: str) -> str:
        return cell.strip('\ufeff "').casefold()


def lies_sideways(header: Sequence[str], first_column: Sequence[str]) -> bool:
    """Whether the fields stand in the first column, and each other column is a product.

    Args:
        header: Names of the columns.
        first_column: What stands in the first of them, below its name.
    """
    names = [*header[:1], *first_column]
    is_wide = len(header) > _FIELDS_OF_HEADER and len({*names}) == len(names)
    return is_wide and count_named(header) < _FIELDS_OF_HEADER < count_named(names)


def names_fields(header: Sequence[str], column: Sequence[str]) -> bool:
    """Whether a column names the field that each row tells, as a table of attributes does.

    Args:
        header: Names of all columns, of which such a table has few.
        column: What stands in one of them.
    """
    is_repeated = 1 < len({*column}) <= len(column) / 2
    named = count_named([*{*column}]) if is_repeated and len(header) <= _COLUMNS_OF_FACTS else 0
    return named >= _FIELDS_OF_HEADER and count_named(header) <= _FIELDS_OF_HEADER


def is_ruled(cell: str) -> bool:
    """Whether a cell is part of a line that is drawn under a header: "-----" or ":---:"."""
    return _RULED.fullmatch(cell) is not None


def count_named(row: Sequence[str]) -> int:
    """Counts the fields that a row names in the usual way."""
    return len({_FIELD_OF[name] for cell in row if (name := plain_name(cell)) in _FIELD_OF})
