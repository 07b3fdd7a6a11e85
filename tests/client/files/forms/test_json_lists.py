"""Lists of JSON in which one object is broken, or a text holds what none may."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.forms import json_records
from twinshelf.client.files.rows import ProductFileError


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("around", ["%s", '{"count": 4, "products": %s}'])
@pytest.mark.parametrize("block", [61, 1 << 20])
def test_a_broken_object_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None, around: str, block: int
) -> None:
    monkeypatch.setattr(json_records, "_BLOCK_CHARACTERS", block)
    goods = [
        {"id": n, "title": f"Mug {n}", "parts": [{"id": 7}, {"id": 8}], "price": 5}
        for n in range(1, 5)
    ]
    text = around % json.dumps(goods, indent=indent).replace('"Mug 2"', '"12" mug"')
    rows, (bad,), _ = read(write(tmp_path, text, "t.json"))
    assert [row.product_id for row in rows] == ["1", "3", "4"]
    assert bad.row_number == 2 and "is no JSON" in bad.reason


@pytest.mark.parametrize("around", ["[%s", '{"count": 9, "products": [%s'])
@pytest.mark.parametrize("block", [61, 1 << 20])
def test_a_list_that_breaks_off_between_two_objects_is_said_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, around: str, block: int
) -> None:
    monkeypatch.setattr(json_records, "_BLOCK_CHARACTERS", block)
    goods = [json.dumps({"id": n, "title": f"Mug {n}"}) for n in (1, 2)]
    for rest in ("", ",", ", \n"):
        rows, (bad,), _ = read(write(tmp_path, around % ", ".join(goods) + rest, "t.json"))
        assert [row.product_id for row in rows] == ["1", "2"]
        assert bad.reason == "object 3: is not there: the list breaks off before its end"


@pytest.mark.parametrize(("form", "name"), [("[%s,\n%s]", "t.json"), ("%s\n%s", "t.jsonl")])
def test_a_text_may_hold_tabs_and_what_breaks_lines(tmp_path: Path, form: str, name: str) -> None:
    objects = ['{"id": 1, "title": "Red\tmug\x0b5"}', '{"id": 2, "title": "Hat"}']
    rows, bad, _ = read(write(tmp_path, form % tuple(objects), name))
    assert [row.title for row in rows] == ["Red\tmug\x0b5", "Hat"] and not bad
    rows, bad, _ = read(write(tmp_path, '[{"id": 1, "title": "Red\nmug"}]', "t.json"))
    assert [row.title for row in rows] == ["Red\nmug"] and not bad


@pytest.mark.parametrize("block", [61, 1 << 20])
@pytest.mark.parametrize(
    ("form", "name"),
    [("[%s,\n%s,\n]", "t.json"), ("%s\n%s", "t.jsonl"), ('{"items": [%s, %s,],}', "t.json")],
)
def test_commas_behind_the_last_cost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, name: str, block: int
) -> None:
    monkeypatch.setattr(json_records, "_BLOCK_CHARACTERS", block)
    objects = [
        '{"id": 1, "title": "Mug \\"A,]\\" ,}", "ok": true, "x": [1,],}',
        '{"id": 2, "title": "Hat"}',
    ]
    rows, bad, _ = read(write(tmp_path, form % tuple(objects), name))
    assert [row.title for row in rows] == ['Mug "A,]" ,}', "Hat"] and not bad


def test_a_file_without_an_object_that_can_be_read_says_why(tmp_path: Path) -> None:
    path = write(tmp_path, '{\n// goods\n"products": [{"id": 1, "title": "Mug"}]}', "t.json")
    with pytest.raises(ProductFileError, match=r"no JSON object; .* in double quotes: line 2 col"):
        read(path)


COLUMNS = [{"id": 1, "name": "sku"}, {"id": 2, "name": "title"}]
GOODS = [{"sku": "a1", "title": "Red mug"}, {"sku": "a2", "title": "Blue hat"}]


@pytest.mark.parametrize(
    "answer",
    [
        {"meta": {"view": {"id": "x", "columns": COLUMNS}}, "data": [[*g.values()] for g in GOODS]},
        {"fields": [{"id": "sku"}, {"id": "title"}], "records": [[*g.values()] for g in GOODS]},
        {"result": {"points": [{"id": n, "payload": g} for n, g in enumerate(GOODS)]}, "time": 0.1},
        {"version": "1", "tasks": [{"id": "t", "result": [{"keyword": "x", "items": GOODS}]}]},
        [{"id": n, "values": [0.5, 0.25], "metadata": g} for n, g in enumerate(GOODS)],
        {"search": {"things": [*GOODS, {"sku": "a0", "stock": 1}], "count": 3}},
    ],
)
def test_products_are_found_however_an_answer_wraps_them(tmp_path: Path, answer: object) -> None:
    rows, bad, _ = read(write(tmp_path, json.dumps(answer), "t.json"))
    assert [row.title for row in rows] == ["Red mug", "Blue hat"]
    assert [row.row_number for row in bad] == [3] * ("a0" in str(answer))


def test_a_sign_may_part_the_records(tmp_path: Path) -> None:
    text = "".join(f"\x1e{json.dumps(each)}\n" for each in GOODS)
    rows, bad, _ = read(write(tmp_path, text, "t.json-seq"))
    assert [row.product_id for row in rows] == ["a1", "a2"] and not bad


def test_lines_that_are_no_utf_8_keep_their_letters(tmp_path: Path) -> None:
    lines = [json.dumps({"id": n, "title": "Été brûlé"}, ensure_ascii=False) for n in range(5)]
    old = "\n".join(lines[3:]).encode("cp1252")
    path = write(tmp_path, "\n".join(lines[:3]).encode() + b"\n" + old, "t.jsonl")
    rows, bad, findings = read(path)
    assert [row.title for row in rows] == ["Été brûlé"] * 5 and not bad
    assert "no UTF-8 and read as cp1252" in findings[0]
