"""Values of cells."""

import pytest

from training.catalogues.cell_values import (
    attributes_of,
    comma_price_of,
    object_of,
    paths_of,
    price_of,
    scalar_attributes_of,
    text_of,
    texts_of,
)


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, ""), (float("nan"), ""), (7.0, "7"), (7, "7"), (" a ", "a"), (1.5, "1.5")],
)
def test_cells_become_trimmed_texts(cell, text):
    assert text_of(cell) == text


@pytest.mark.parametrize(
    ("cell", "price"), [("", None), (None, None), ("12990.50", 12990.5), (3, 3.0), ("0", 0.0)]
)
def test_prices_are_numbers_with_a_point(cell, price):
    assert price_of(cell) == comma_price_of(cell) == price


def test_blanks_and_a_comma_are_understood_only_where_they_are_expected():
    assert comma_price_of("12 990,50") == 12990.5
    # In a table of unknown origin it may be a thousand as well.
    with pytest.raises(ValueError, match="price must be a number of zero or more, got '1,299'"):
        price_of("1,299")


@pytest.mark.parametrize("read", [price_of, comma_price_of])
def test_a_price_in_words_is_refused(read):
    with pytest.raises(ValueError, match="price must be a number of zero or more, got 'free'"):
        read("free")


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


@pytest.mark.parametrize("cell", ['{"a": "x", "n": 5}', {"a": "x", "n": 5}, [("a", "x"), ("n", 5)]])
def test_scalar_attributes_come_as_json_record_or_map(cell):
    assert scalar_attributes_of(cell) == {"a": "x", "n": "5"}


@pytest.mark.parametrize("cell", [None, "", " ", float("nan"), "{}", {}, []])
def test_absent_attributes_are_empty(cell):
    assert scalar_attributes_of(cell) == {}


@pytest.mark.parametrize("cell", ["{'a': 'x'}", "[1]", 7, ["a"], '{"a": ["x"]}'])
def test_other_attributes_are_refused(cell):
    with pytest.raises(ValueError, match="attribute"):
        scalar_attributes_of(cell)


@pytest.mark.parametrize("cell", ["a.jpg; b.jpg;", '["a.jpg", "b.jpg"]', ["a.jpg", "b.jpg"]])
def test_paths_come_as_text_json_or_list(cell):
    assert paths_of(cell) == ["a.jpg", "b.jpg"]
    assert paths_of(None) == []


@pytest.mark.parametrize("cell", ["[1]", '["a"', ["a", ""], "a\0b"])
def test_what_is_no_path_is_refused(cell):
    with pytest.raises(ValueError, match="images must be"):
        paths_of(cell)
