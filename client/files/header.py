"""The header of a table: where it stands, and how its columns are told apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from twinshelf.client.files.column_names import USUAL_NAMES, plain_name

# Of the rows behind a preamble so many have several cells.
_WIDE_SHARE = 0.8
_USUAL = frozenset(name for names in USUAL_NAMES.values() for name in names)


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


def count_preamble(rows: Sequence[Sequence[str]]) -> int:
    """Counts the rows before the header, such as a report's name: of one cell in a wider table.

    Args:
        rows: Cells of the first rows, the header among them.

    Returns:
        How many to skip; 0 where one of them is a field's usual name.
    """
    filled_counts = [sum(bool(cell.strip()) for cell in row) for row in rows]
    start = next((place for place, count in enumerate(filled_counts) if count > 1), 0)
    if any(plain_name(cell) in _USUAL for row in rows[:start] for cell in row):
        return 0
    behind = [count > 1 for count in filled_counts[start:] if count]
    return start if sum(behind) >= _WIDE_SHARE * len(behind) else 0
