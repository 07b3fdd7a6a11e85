"""Cells of CSV and Parquet files."""

import pandas as pd
import pytest

from training.catalogues.cells import CellRow, read_cells, read_columns, require_columns
from training.product import BadRow


@pytest.fixture(params=["t.csv", "t.parquet"])
def path(request, tmp_path):
    frame = pd.DataFrame({"a": ["1", "2"], "b": ["x", "y"], "c": ["p", "q"]})
    path = tmp_path / request.param
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def test_only_the_columns_asked_for_are_read(path):
    assert read_columns(path) == ("a", "b", "c")
    rows = list(read_cells(path, ["c", "a"]))
    assert [row.cells for row in rows] == [{"c": "p", "a": "1"}, {"c": "q", "a": "2"}]
    assert [(row.source, row.row_number) for row in rows] == [(path.name, 1), (path.name, 2)]


def test_a_missing_column_is_named(path):
    with pytest.raises(ValueError, match=r"no column 'd'; its columns are a, b, c"):
        require_columns(path, read_columns(path), ["a", "d"])


def test_a_refused_row_keeps_its_number():
    row = CellRow(source="t.csv", row_number=3, cells={})
    assert row.refuse("is odd") == BadRow(source="t.csv", row_number=3, reason="is odd")


def test_a_parquet_file_damaged_inside_is_refused_by_name(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": [f"value {number}" for number in range(5000)]}).to_parquet(path)
    data = bytearray(path.read_bytes())
    data[4:2000] = b"\xff" * 1996
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"t\.parquet breaks off"):
        list(read_cells(path, ["a"]))
