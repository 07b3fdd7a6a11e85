"""Headers that come again, and records that stand before the header or behind all rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.file_check import propose
from twinshelf.client.files.forms.table import open_table
from twinshelf.client.files.product_rows import USUAL_OPTIONS


@pytest.mark.parametrize(
    "table",
    [
        "id,title,price,brand\n1,Mug,5,A\ntitle,id,brand,price\nPan,2,B,6\nPot,3,C,7\n",
        "id,title,price,brand\n1,Mug,5,A\n2,Pan,6,B\n\nTitle,ID,Price,Brand\nPot,3,7,C\n",
        "id,title,price,brand\n1,Mug,5,A\ntitle,id,price,brand\nPan,2,6,B\n"
        "id,title,price,brand\n3,Pot,7,C\n",
    ],
)
def test_a_header_that_comes_again_names_the_columns_anew(tmp_path: Path, table: str) -> None:
    rows, bad, _ = read(write(tmp_path, table))
    found = [(row.product_id, row.title, row.price, row.brand) for row in rows]
    assert found == [("1", "Mug", 5, "A"), ("2", "Pan", 6, "B"), ("3", "Pot", 7, "C")] and not bad


def test_columns_that_are_not_named_anew_are_empty(tmp_path: Path) -> None:
    rows, _, _ = read(write(tmp_path, "id,title,brand\n1,Mug,A\ntitle,id\nPan,2\n"))
    assert [(row.product_id, row.title, row.brand) for row in rows] == [
        ("1", "Mug", "A"),
        ("2", "Pan", ""),
    ]


def test_a_header_that_comes_again_wider_is_a_bad_row(tmp_path: Path) -> None:
    rows, bad, _ = read(write(tmp_path, "id,title,price\n1,Mug,5\nid,,title,price\n2,Pan,6\n"))
    assert [row.title for row in rows] == ["Mug", "Pan"] and [row.row_number for row in bad] == [2]


def test_a_product_that_is_named_like_columns_is_one(tmp_path: Path) -> None:
    rows, _, _ = read(write(tmp_path, "title,brand,id\nBrand,Title,1\nPan,B,2\n"))
    assert [row.title for row in rows] == ["Brand", "Pan"]


def test_records_round_the_rows_of_a_feed_are_no_products(tmp_path: Path) -> None:
    header = "product_id|name|sku|price\n"
    feed = "HDR|38229|Shop|2026-11-27\n{}1|Blue mug|S1|5\n2|Red pan|S2|6\nTRL|2\n"
    rows, bad, _ = read(write(tmp_path, feed.format(header)))
    assert [(row.product_id, row.title) for row in rows] == [("1", "Blue mug"), ("2", "Red pan")]
    assert not bad
    proposal = propose(write(tmp_path, feed.format("")), USUAL_OPTIONS)
    assert not proposal.has_header and proposal.columns["title"] == ("2",)


def test_a_row_of_groups_above_the_names_is_no_header(tmp_path: Path) -> None:
    of_pandas = "Product,Product,Money,Money\nid,Name,Buy,Price"
    for header in ("Goods,,Money,\nStyle,Name,Buy,Sell", of_pandas):
        table = f"{header}\n1,Mug,3,5\n2,Pan,4,6"
        rows, bad, _ = read(write(tmp_path, table))
        found = [(row.product_id, row.title) for row in rows]
        assert found == [("1", "Mug"), ("2", "Pan")] and not bad


@pytest.mark.parametrize(
    "header",
    [
        "Nr.,Name,Preis,,Marke\n,,netto,brutto,",
        "List\nNr.,Name,Preis,Preis,Marke\nNr.,Name,netto,brutto,Marke",
        '"Nr.",Name,"Preis",,Marke\n"",,"netto","brutto",',
    ],
)
def test_a_header_of_two_rows_is_one(tmp_path: Path, header: str) -> None:
    rows, bad, said = read(write(tmp_path, f"{header}\n7,Mug,10,12.5,Falk\n8,Pan,2,3,Falk\n"))
    found = [(row.product_id, row.title, row.price, row.brand) for row in rows]
    assert found == [("7", "Mug", 12.5, "Falk"), ("8", "Pan", 3, "Falk")] and not bad + said


def test_a_row_wider_than_its_header_is_no_part_of_it(tmp_path: Path) -> None:
    rows, _, _ = read(write(tmp_path, "title\nMug, big\nPan, small\n"))
    assert [row.title for row in rows] == ["Mug, big", "Pan, small"]


def test_a_row_below_a_name_that_comes_twice_is_a_product(tmp_path: Path) -> None:
    rows, bad, _ = read(write(tmp_path, "name,price,price\nMug,3,4\n,5,6\n"))
    assert [row.title for row in rows] == ["Mug"]
    rows, _, _ = read(write(tmp_path, "image,,title\na.jpg,b.jpg,\nc.jpg,d.jpg,Pan\n"))
    assert rows[-1].title == "Pan"
    rows, bad, _ = read(write(tmp_path, "title,image,,\nMug,a.jpg,b.jpg,\nPan,c.jpg,d.jpg,\n"))
    assert [row.title for row in rows] == ["Mug", "Pan"] and not bad


def test_a_table_of_r_is_parted_by_blanks(tmp_path: Path) -> None:
    table = '"id" "title" "price"\n"1" "a1" "Blue mug" 5\n"2" "a2" "Red pan" NA\n'
    path = write(tmp_path, table, "t.txt")
    rows, bad, _ = read(path)
    found = [(row.product_id, row.title, row.price) for row in rows]
    assert found == [("a1", "Blue mug", 5), ("a2", "Red pan", None)] and not bad
    assert open_table(path).form.endswith("cells between blanks")


def test_a_second_table_to_the_right_is_said_not_to_be_read(tmp_path: Path) -> None:
    beside = "Code;Name;Price;;Code;Name;Price\nA1;Mug;12,00;;B1;Pan;15,00\n"
    (row,), bad, found = read(write(tmp_path, beside))
    assert (row.product_id, row.title, row.price) == ("A1", "Mug", 12.0) and not bad
    assert found == [
        "1 table to the right of another not read: Code 2, Name 2, Price 2; put its rows below the "
        "others"
    ]
    # Empty, or two tables that were joined.
    for other in (beside.replace("B1;Pan;15,00", ";;"), "id,name,price,id,name\n1,Mug,3,7,Cups\n"):
        assert read(write(tmp_path, other))[2] == []
