"""Values of cells."""

import pytest

from training.catalogues.cell_values import attributes_of, object_of, price_of, text_of, texts_of


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, ""), (float("nan"), ""), (7.0, "7"), (7, "7"), (" a ", "a"), (1.5, "1.5")],
)
def test_cells_become_trimmed_texts(cell, text):
    assert text_of(cell) == text


@pytest.mark.parametrize(
    ("cell", "price"), [("", None), (None, None), ("12 990,50", 12990.5), (3, 3.0), ("0", 0.0)]
)
def test_prices_may_have_blanks_and_a_comma(cell, price):
    assert price_of(cell) == price


def test_a_price_in_words_is_refused():
    with pytest.raises(ValueError, match="price must be a number of zero or more, got 'free'"):
        price_of("free")


@pytest.mark.parametrize("cell", ['{"a": ["x", "y"]}', "{'a': ['x', 'y']}", {"a": ["x", "y"]}])
def test_objects_come_as_json_python_or_mapping(cell):
    assert object_of(cell) == {"a": ["x", "y"]}


@pytest.mark.parametrize("cell", ["[1]", "{", "7", "__import__('os')", "[" * 100_000])
def test_what_is_no_object_is_refused(cell):
    with pytest.raises(ValueError, match="must be a JSON object"):
        object_of(cell)


def test_absent_objects_and_texts_are_empty():
    assert object_of(None) == {} and texts_of(None) == [] and texts_of(["", None, "a"]) == ["a"]


def test_attributes_join_lists_and_leave_empty_ones_out():
    values = {"colour": ["red", "blue"], "size": 7.0, "none": [], "": "x", "void": None}
    assert attributes_of(values) == {"colour": "red, blue", "size": "7"}
