"""The table of groups: what is written is read, and comes in a fixed order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twinshelf.training.grouping.components import Groups
from twinshelf.training.grouping.group_table import read_group_ids, write_groups

GROUPS = Groups(
    numbers=np.array([0, 1, 1]),
    weakest=np.array([np.nan, 0.75, 0.75]),
    precision=np.array([np.nan, 0.875, 0.875]),
)


def test_the_table_holds_names_sizes_and_the_weakest_edge(tmp_path: Path) -> None:
    path = tmp_path / "new" / "groups.parquet"
    write_groups(path, ["a", "c", "b"], ["a", "b", "b"], GROUPS)
    assert [tuple(row.values()) for row in pq.read_table(path).to_pylist()] == [
        ("b", "b", 2, 0.75, 0.875),
        ("c", "b", 2, 0.75, 0.875),
        ("a", "a", 1, None, None),
    ]
    assert read_group_ids(path) == {"a": "a", "b": "b", "c": "b"}
    assert [file.name for file in path.parent.iterdir()] == ["groups.parquet"]


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no table of groups"):
        read_group_ids(tmp_path / "absent.parquet")
    pq.write_table(pa.table({"product_id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="no table of groups"):
        read_group_ids(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(ValueError, match="no table of groups"):
        read_group_ids(tmp_path / "text.parquet")
