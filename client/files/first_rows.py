"""The first rows of a table, by which its columns are judged."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from twinshelf.client.files.forms.header import lies_sideways, names_fields
from twinshelf.client.files.forms.row_label import TOTAL, is_subtotal
from twinshelf.client.files.forms.table import Table
from twinshelf.client.files.rows import CellRow, ProductFileError
from twinshelf.client.files.values.column_fitness import Values, texts_in

_SAMPLE_ROWS = 200
# Photos may stand in the table itself: of large ones fewer rows are looked at.
_SAMPLE_BYTES = 64 * 1024 * 1024


def first_cells(table: Table) -> dict[str, Values]:
    """Returns the cells of the first rows, of each column, without totals.

    Raises:
        ProductFileError: If the table breaks off.
    """
    rows: list[Mapping[str, object]] = []
    byte_count = 0
    for row in islice(table.rows(table.telling_columns), _SAMPLE_ROWS):
        if isinstance(row, CellRow) and not _is_total(row):
            rows.append(row.cells)
            byte_count += sum(len(cell) for cell in row.cells.values() if isinstance(cell, bytes))
        if byte_count > _SAMPLE_BYTES:
            break
    return {name: [row.get(name) for row in rows] for name in table.columns}


def require_upright(table: Table, cells: Mapping[str, Values]) -> None:
    """Checks that the rows of a table are products.

    Args:
        table: The table.
        cells: Those of its first rows, of each column.

    Raises:
        ProductFileError: If its columns are, or several rows tell of one.
    """
    is_of_cells = table.kind != "records" and len(table.columns) > 0
    if is_of_cells and lies_sideways(table.columns, texts_in(cells[table.columns[0]])):
        raise ProductFileError(
            f"{table.path} lies on its side: the names of the fields stand in its first column, "
            "and each other column is a product. Turn it, so that each row is one (in Excel: copy, "
            "then paste special, transpose), or name its columns: --columns"
        )
    for name in table.columns if is_of_cells else ():
        if names_fields(table.columns, texts_in(cells[name])):
            raise ProductFileError(
                f"{table.path} has a row for each field of a product, which {name!r} names. Turn "
                "it, so that each row is a product (a pivot table does), or name its columns: "
                "--columns"
            )


def _is_total(row: CellRow) -> bool:
    label = row.label
    return label is not None and (is_subtotal(label) or bool(TOTAL.fullmatch(label.text)))
