"""Columns whose name does not tell which field they hold: their first rows do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.column_guess import map_table
from twinshelf.client.files.table import open_table


@pytest.mark.parametrize(
    ("name", "cells", "product_ids"),
    [
        ("train_id", ["0", "1"], ["0", "1"]),
        ("trainId", ["0", "1"], ["0", "1"]),
        ("Material", ["P-100", "P-101"], ["P-100", "P-101"]),
        ("Satıcı Stok Kodu", ["S1", "S2"], ["S1", "S2"]),
        ("train_id", ["7", "7"], ["1", "2"]),
        ("Material", ["cotton 1", "cotton 2"], ["1", "2"]),
        ("category_id", ["10", "11"], ["1", "2"]),
        ("android", ["a1", "a2"], ["1", "2"]),
    ],
)
def test_an_identifier_by_an_unusual_name_is_read_where_rows_do_not_share_it(
    tmp_path: Path, name: str, cells: list[str], product_ids: list[str]
) -> None:
    lines = [f"{name},title", *(f"{cell},Tea {number}" for number, cell in enumerate(cells))]
    rows, _, _ = read(write(tmp_path, "\n".join(lines)))
    assert [row.product_id for row in rows] == product_ids


def test_short_descriptions_that_are_alone_are_titles(tmp_path: Path) -> None:
    path = write(tmp_path, "sku,Description,price\na1,Kettle 1.7 l,5\na2,Blue mug,6\n")
    assert map_table(open_table(path), {})["title"] == ("Description",)
    assert "title" not in map_table(open_table(path), {"description": ("Description",)})
