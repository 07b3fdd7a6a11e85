"""Looking rows up in big files."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twinshelf.training.catalogues.lookup import blocks, find_rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "t.parquet"
    columns = {
        "id": pa.array([5, 6, 7, 7], pa.int64()),
        "locale": ["us", "us", "us", "jp"],
        "name": ["five", "six", "seven", "nana"],
        "vector": pa.array([[1.0, 2.0], None, [3.0, None], [5.0, 6.0]], pa.list_(pa.float32())),
        "vectors": pa.array(
            [[[1.0], [2.0]], None, [], [[4.0], None]], pa.list_(pa.list_(pa.float32()))
        ),
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_rows_are_found_with_their_numbers(path: Path) -> None:
    found = find_rows(path, ["id"], {("6",), ("5",), ("9",)}, ["name"])
    row = found.take(("6",))
    assert row.cells["name"] == "six" and row.row_number == 2 and row.source == "t.parquet"
    assert set(found.rows) == {("5",), ("6",)}


def test_two_columns_may_identify_a_row(path: Path) -> None:
    found = find_rows(path, ["id", "locale"], {("7", "jp")}, ["name"])
    assert found.take(("7", "jp")).cells["name"] == "nana"


def test_none_and_several_rows_are_refused_by_name(path: Path) -> None:
    found = find_rows(path, ["id"], {("7",), ("9",)}, ["name"])
    with pytest.raises(ValueError, match=r"id '9' stands in no row of t\.parquet"):
        found.take(("9",))
    with pytest.raises(ValueError, match=r"id '7' stands in rows 3 and 4 of t\.parquet"):
        found.take(("7",))


def test_vectors_come_as_arrays_and_missing_numbers_as_nan(path: Path) -> None:
    found = find_rows(path, ["id"], {("5",), ("6",), ("7",)}, ["vector", "vectors"])
    five, six, seven, last = (
        dict[str, Any](row.cells) for key in "567" for row in found.rows[(key,)]
    )
    assert five["vector"].dtype == np.float32 and five["vector"].tolist() == [1.0, 2.0]
    assert [vector.tolist() for vector in five["vectors"]] == [[1.0], [2.0]]
    assert six["vector"] is None and six["vectors"] is None
    assert np.isnan(seven["vector"][1]) and seven["vectors"] == []
    assert last["vectors"][1] is None


def test_csv_files_are_searched_as_well(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,name\n1,one\n2,two\n")
    assert find_rows(path, ["id"], {("2",)}, ["name"]).take(("2",)).row_number == 2


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(ValueError, match=r"t\.parquet is not a readable Parquet file"):
        find_rows(path, ["id"], {("1",)}, [])


def test_blocks_hold_all_rows_in_order() -> None:
    assert list(blocks(range(5), 2)) == [[0, 1], [2, 3], [4]]
