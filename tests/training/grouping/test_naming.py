"""Names of groups: by their members alone, and lasting."""

from __future__ import annotations

import numpy as np

from twinshelf.training.grouping.naming import name_groups


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
