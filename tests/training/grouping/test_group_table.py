"""The table of groups: what is written is read, and comes in a fixed order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twinshelf.training.grouping.components import Groups
from twinshelf.training.grouping.group_table import name_groups, read_group_ids, write_groups

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


def test_a_group_is_named_after_its_first_member_whatever_the_order() -> None:
    straight = name_groups(["b", "a", "c"], np.array([0, 0, 1]))
    turned = name_groups(["c", "a", "b"], np.array([0, 1, 1]))
    assert straight == ["a", "a", "c"]
    assert turned == ["c", "a", "a"]


def test_a_group_keeps_its_name_when_a_product_joins() -> None:
    names = name_groups(["0", "b", "c"], np.array([0, 0, 0]), {"b": "b", "c": "b"})
    assert names == ["b"] * 3


def test_the_larger_part_of_a_split_group_keeps_the_name() -> None:
    previous = dict.fromkeys("abc", "a")
    assert name_groups(["a", "b", "c"], np.array([0, 1, 1]), previous) == ["a-2", "a", "a"]


def test_of_merged_groups_the_name_with_most_members_stays() -> None:
    previous = {"a": "a", "b": "x", "c": "x"}
    assert name_groups(["a", "b", "c"], np.array([0, 0, 0]), previous) == ["x"] * 3


def test_a_new_group_takes_no_name_that_was_given_before() -> None:
    names = name_groups(["a", "z"], np.array([0, 0]), {"gone": "a"})
    assert names == ["z", "z"]


def test_names_are_different_for_different_groups() -> None:
    generator = np.random.default_rng(0)
    ids = [f"p{row}" for row in range(60)]
    previous = {
        name: f"p{number}" for name, number in zip(ids, generator.integers(0, 9, 60), strict=True)
    }
    numbers = generator.integers(0, 15, 60)
    names = name_groups(ids, numbers, previous)
    assert len({(n, name) for n, name in zip(numbers.tolist(), names, strict=True)}) == len(
        set(names)
    )
    assert len(set(names)) == len(set(numbers.tolist()))
