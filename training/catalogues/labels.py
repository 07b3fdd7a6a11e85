"""Labels of a file, looked at before its rows are read: can anything be learnt from them?

Both checks stop at the first row that satisfies them, so they cost nothing on a usable file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from twinshelf.client.files.cell_values import text_of
from twinshelf.client.files.rows import CellRow
from twinshelf.client.files.table import read_cells


def require_two_classes(path: Path, column: str) -> None:
    """Checks that a label column holds more than one class.

    Args:
        path: CSV or Parquet file.
        column: Its column of labels; empty cells do not count.

    Raises:
        ValueError: If all rows are of one class, or none has a label; names file, row and column.
    """
    first: tuple[int, str] | None = None
    for row_number, label in _labels(path, column):
        if first is None:
            first = (row_number, label)
        elif label != first[1]:
            return
    if first is None:
        raise ValueError(f"{path}, column {column!r}: no row has a label")
    raise ValueError(
        f"{path}, column {column!r}: every label is {first[1]!r}, from row {first[0]} on; "
        "expected two classes or more"
    )


def require_shared_groups(path: Path, column: str) -> None:
    """Checks that some group has two items: otherwise there is nothing to match.

    Args:
        path: CSV or Parquet file.
        column: Its column of groups; empty cells do not count.

    Raises:
        ValueError: If each group has one item only; names file, row and column.
    """
    first_rows: dict[str, int] = {}
    for row_number, label in _labels(path, column):
        if label in first_rows:
            return
        first_rows[label] = row_number
    if not first_rows:
        raise ValueError(f"{path}, column {column!r}: no row has a group")
    label, row_number = next(iter(first_rows.items()))
    raise ValueError(
        f"{path}, column {column!r}: each of the {len(first_rows)} groups has one item, the first "
        f"is {label!r} of row {row_number}; expected some with two or more"
    )


def _labels(path: Path, column: str) -> Iterator[tuple[int, str]]:
    for row in read_cells(path, [column]):
        if isinstance(row, CellRow) and (label := text_of(row.cells[column])):
            yield row.row_number, label
