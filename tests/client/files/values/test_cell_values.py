"""Values of cells."""

from __future__ import annotations

from datetime import datetime

import pytest

from twinshelf.client.files.values.cell_values import (
    attributes_of,
    nested_within,
    object_of,
    present_text_of,
    text_of,
    texts_of,
    without_markup,
)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (b"\xff" * 16, "ff" * 16),
        (None, ""),
        (float("nan"), ""),
        (7.0, "7"),
        (7, "7"),
        (" a ", "a"),
        (1.5, "1.5"),
        (b"a", "a"),
        (datetime(2024, 3, 1), "2024-03-01"),
        (datetime(2024, 3, 1, 8, 30), "2024-03-01 08:30:00"),
    ],
)
def test_cells_become_trimmed_texts(cell: object, text: str) -> None:
    assert text_of(cell) == text


@pytest.mark.parametrize(
    "cell",
    ["#NV", "#N/D", "#¡VALOR!", "#¡REF!", "#BEZUG!", "#¿NOMBRE?", "#VALEUR!", "#ЗНАЧ!", "#Н/Д",
     "#ДЕЛ/0!", "#DIVISION/0!", "#SAKNAS!", "#BAŞV!", "#NENÍ_K_DISPOZICI", "#SPILL!", "Err:502"],
)  # fmt: skip
def test_an_error_of_a_table_program_is_absent_in_its_language(cell: str) -> None:
    assert present_text_of(cell) == ""
    for text in ("#1 Mug", "#Best!", "#WOW", "#TEA!", "Error 502", "#nv"):
        assert present_text_of(text) == text


@pytest.mark.parametrize(
    "cell", ["NULL", "null", "N/A", "nan", "None", " ", "#N/A", "\\N", "[NULL]", False]
)
def test_what_programs_write_for_nothing_is_absent(cell: object) -> None:
    assert present_text_of(cell) == ""
    assert present_text_of("Nullify") == "Nullify"
    assert present_text_of(["a", None, "b"]) == "a, b"
    assert present_text_of({"id": 7, "name": "Acme"}) == "Acme"
    assert present_text_of({"colour": "red", "size": ["M"]}) == "red, M"


@pytest.mark.parametrize(
    "cell",
    [
        {"en": "Tea", "de": ["Tee"]},
        {"pt_BR": "", "en_US": "Tea"},
        [{"language_tag": "en_US", "value": "Tea"}, {"language_tag": "de_DE", "value": "Tee"}],
        {"name": [{"locale": "en_US", "scope": None, "data": "Tea"}]},
    ],
)
def test_of_several_languages_one_is_read(cell: object) -> None:
    assert present_text_of(cell) == "Tea"


@pytest.mark.parametrize("cell", ['{"a": ["x", "y"]}', "{'a': ['x', 'y']}", {"a": ["x", "y"]}])
def test_objects_come_as_json_python_or_mapping(cell: object) -> None:
    assert object_of(cell) == {"a": ["x", "y"]}
    assert object_of(None) == {} and texts_of(["", None, "a"]) == ["a"]


@pytest.mark.parametrize("cell", ["[1]", "{", "7", "__import__('os')", "[" * 100_000])
def test_what_is_no_object_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="must be a JSON object"):
        object_of(cell)


@pytest.mark.parametrize(
    "cell",
    [
        '{"a": "x", "n": 5}',
        "{'a': 'x', 'n': 5}",
        {"a": ["x"], "n": 5.0, "void": None},
        [("a", "x"), ("n", 5)],
        [{"name": "a", "options": ["x"]}, {"key": "n", "value": "5"}],
        "a: x; n: 5",
        "a=x|n=5",
        "a: x\nn: 5\n",
        "a: x, n: 5",
        "a:x,n:5",
        "<ul><li>a: x</li><li><b>n</b>: 5</li></ul>",
        "<b>a:</b> x<br>\n<b>n:</b> 5",
        ["a: x", "n=5"],
        '["a: x", "n: 5"]',
        '{"a": "x",\t"n": "5\n"}',
        "{'a': array(['x'], dtype='<U1'), 'n': np.int64(5), 'void': nan}",
    ],
)
def test_attributes_come_in_many_forms(cell: object) -> None:
    assert attributes_of(cell) == ({"a": "x", "n": "5"}, 0)


@pytest.mark.parametrize("cell", [None, "", " ", float("nan"), "{}", {}, [], "null"])
def test_absent_attributes_are_empty(cell: object) -> None:
    assert attributes_of(cell) == ({}, 0)


@pytest.mark.parametrize("value", ["10:30,11:30", "see https://e/x,y: L", "red, blue,green"])
def test_a_comma_parts_pairs_that_are_written_alike(value: str) -> None:
    assert attributes_of(f"a: {value}") == ({"a": value}, 0)


def test_what_is_no_pair_belongs_to_the_value_before_it() -> None:
    text = "Care: wash, dry\nat 30 degrees; Size: 10:20, 5:3, M"
    assert attributes_of(text) == ({"Care": "wash, dry\nat 30 degrees", "Size": "10:20, 5:3, M"}, 0)


def test_a_list_of_very_many_in_pythons_way_is_a_text() -> None:
    assert nested_within("[1" + ",1" * 100 + ",]") == [1] * 101
    assert nested_within("[1" + ",1" * 200_000 + ",]") is None


def test_nested_attributes_are_left_out_and_counted() -> None:
    assert attributes_of('{"a": {"b": 1}, "c": [1, [2]], "d": true}') == ({"d": "true"}, 2)


@pytest.mark.parametrize("cell", ["red", "[1]", 7, ["a"], "{" * 100_000])
def test_other_attributes_are_refused(cell: object) -> None:
    with pytest.raises(ValueError, match="attributes must be a JSON object"):
        attributes_of(cell)


def test_signs_that_nobody_sees_are_no_text() -> None:
    assert text_of("\u200bN2\ufeff ") == "N2"
    assert text_of("\u200b") == ""
    assert text_of("می\u200cخواهم") == "می\u200cخواهم"


def test_places_of_attributes_in_a_list_are_none_of_their_values() -> None:
    cell = "Height:69.8 mm:1,Stuff:Metal, brushed:3,Colour:Blue:2"
    features = {"Height": "69.8 mm", "Stuff": "Metal, brushed", "Colour": "Blue"}
    assert attributes_of(cell) == (features, 0)
    assert attributes_of("Colour:Blue:0") == ({"Colour": "Blue"}, 0)
    own = "Height:69.8 mm:1:0,Colour:Blue:2:1"
    assert attributes_of(own) == ({"Height": "69.8 mm", "Colour": "Blue"}, 0)
    for values in ({"Ratio": "16:9"}, {"Open": "Mo 10:05"}, {"Kit": "a:1", "Size": "M"}):
        assert attributes_of(",".join(f"{n}:{value}" for n, value in values.items())) == (values, 0)


def test_a_text_that_names_its_language_is_the_text() -> None:
    assert without_markup('"TV 24" wide"@en-US "Tele"@fr') == 'TV 24" wide Tele'
    assert without_markup('Mug "Tea"@home') == 'Mug "Tea"@home'


def test_attributes_of_ruby_are_read() -> None:
    cell = '{"product_specification"=>[{"key"=>"Fabric", "value"=>"Cotton"}]}'
    assert attributes_of(cell) == ({"Fabric": "Cotton"}, 0)
    assert attributes_of("activity=Gym|Yoga") == ({"activity": "Gym|Yoga"}, 0)


def test_an_object_is_called_by_its_name() -> None:
    assert present_text_of([{"Language": "EN", "ProductDescription": "Tea"}]) == "Tea"
    assert present_text_of({"seller_id": 9, "seller_name": "Acme"}) == "Acme"
    assert present_text_of({"_id": 9, "name": "Tea"}) == "Tea"
    assert present_text_of({"ID": 9, "Name": {"ID": 1, "Value": "Tea", "LangID": 2}}) == "Tea"
    assert present_text_of({"ID": 9, "Rest": "Tea"}) == "Tea"
    assert present_text_of([9, "Tea"]) == "Tea"
    assert present_text_of([9, 8]) == "9, 8"


def test_what_is_nested_without_end_is_no_text() -> None:
    cell: list[object] = ["tea"]
    for _ in range(600):
        cell = [cell]
    assert present_text_of(cell) == ""


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"P0\0\0\0\0", "P0"),
        ("Crème brûlée".encode("cp1252"), "Crème brûlée"),
        ("Лосось".encode(), "Лосось"),
        ((5).to_bytes(8, "big"), "0000000000000005"),
        (bytes(range(200, 212)), bytes(range(200, 212)).hex()),
    ],
)
def test_bytes_are_text_or_an_identifier_in_hex(data: bytes, text: str) -> None:
    assert text_of(data) == text


def test_attributes_of_postgresql_are_read() -> None:
    assert attributes_of('"color"=>"white", "size"=>"M"') == ({"color": "white", "size": "M"}, 0)


@pytest.mark.parametrize("cell", ["{{1}}", "{[1]: 2}", "{{title}}"])
def test_what_a_template_left_is_a_text(cell: str) -> None:
    assert present_text_of(cell) == cell
