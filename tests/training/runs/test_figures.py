"""Nested values under one name each."""

from twinshelf.training.runs.figures import flatten


def test_keys_are_joined_and_lists_stay() -> None:
    nested = {"a": {"b": {1: 2.5}, "c": [1, {"d": 2}]}, "e": None, "f": {}}
    assert flatten(nested) == {"a.b.1": 2.5, "a.c": [1, {"d": 2}], "e": None}
    assert list(flatten(nested, "/")) == ["a/b/1", "a/c", "e"]


def test_what_is_no_mapping_has_no_names() -> None:
    assert flatten([1, 2]) == {}
    assert flatten({}) == {}
