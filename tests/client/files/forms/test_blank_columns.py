"""Tables of fixed widths and lists parted by blanks have columns as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.forms.delimited_text import open_delimited
from twinshelf.client.files.rows import ProductFileError, TableForm


@pytest.mark.parametrize(
    "lines",
    [
        ["ID  TITLE           PRICE", "1   Blue mug, 2 cl   5.50", "2   Tea              6.50"],
        ["ID    TITLE          PRICE", "----- -------------- -----", "    1 Blue mug, 2 cl  5.50",
         "    2 Tea", "", "(2 rows affected)"],
        ["Stock of May", "ID  TITLE           PRICE", "--  --------------  -----",
         "1   Blue mug, 2 cl   5.50", "2   Tea              6.50"],
        ["==  ==============  =====", "ID  TITLE           PRICE", "==  ==============  =====",
         "1   Blue mug, 2 cl   5.50", "2   Tea              6.50", "==  ==============  ====="],
    ],
)  # fmt: skip
def test_columns_of_fixed_widths_are_found(tmp_path: Path, lines: list[str]) -> None:
    rows, bad, _ = read(write(tmp_path, "\n".join(lines), "t.txt"))
    assert [(row.product_id, row.title) for row in rows] == [("1", "Blue mug, 2 cl"), ("2", "Tea")]
    assert not bad


def test_columns_that_cannot_be_told_apart_are_said_to(tmp_path: Path) -> None:
    text = "ID  TITLE  PRICE\n1   Tea  5\n222222  Mug  7\n"
    with pytest.raises(ProductFileError, match="fixed widths.*save it with commas"):
        read(write(tmp_path, text, "t.txt"))


@pytest.mark.parametrize(
    "text",
    [
        "image_id class_id path\n1 7 a/1.JPG\n2 7 a/2.JPG\n",
        "2\nimage_id class_id     path\n1    7   a/1.JPG\n2    7   a/2.JPG\n",
    ],
)
def test_a_list_of_photos_may_be_parted_by_blanks(tmp_path: Path, text: str) -> None:
    table = open_delimited(write(tmp_path, text, "list.txt"), TableForm())
    assert table.header == ("image_id", "class_id", "path")
    assert list(table.rows()) == [["1", "7", "a/1.JPG"], ["2", "7", "a/2.JPG"]]


@pytest.mark.parametrize(
    "text", ["Product name\nBlue mug\nRed pan\n", "title,Photo 1\nMug,a.jpg\n"]
)
def test_words_alone_are_no_columns(tmp_path: Path, text: str) -> None:
    rows, _, _ = read(write(tmp_path, text, "t.txt"))
    assert rows[0].title in ("Blue mug", "Mug")


def test_a_note_below_a_table_of_fixed_widths_is_no_product(tmp_path: Path) -> None:
    table = "SKU      TITLE     PRICE\n-------- -------- ------\nA1       Red mug    3.00\n"
    table += "A2       Tin pan    4.00\n\n(2 rows  affected)\n(2 rows affected)\n"
    rows, bad, _ = read(write(tmp_path, table, "t.txt"))
    assert [(row.product_id, row.title) for row in rows] == [("A1", "Red mug"), ("A2", "Tin pan")]
    assert not bad
