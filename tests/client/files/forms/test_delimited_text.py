"""Text tables: their form is found, and a broken quote costs one row."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.forms import text_rows
from twinshelf.client.files.forms.delimited_text import find_delimiter, open_delimited
from twinshelf.client.files.forms.table import open_table, read_cells
from twinshelf.client.files.product_rows import ReadOptions
from twinshelf.client.files.rows import ProductFileError, TableForm


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "#", "^", "\x01"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    lines = [["id", "title", "price"], ["1", '"Shoe, red; 5# | x\ty"', "9.99"], ["2", "Boot", ""]]
    path = write(tmp_path, "\n".join(delimiter.join(line) for line in lines))
    rows, bad, _ = read(path)
    assert [row.title for row in rows] == ["Shoe, red; 5# | x\ty", "Boot"] and not bad
    assert rows[0].price == 9.99


def test_a_decimal_comma_is_no_delimiter() -> None:
    assert find_delimiter(["a;b;c\n", "1;2,5;3,5\n", "2;3,5;4,5\n"]) == ";"
    assert find_delimiter(["title\n", "Shoe\n"]) == ","
    # Some programs end each row with a delimiter, or the header alone.
    assert find_delimiter(["a;b;c\n", "1;2,5;3,5;\n", "2;3,5;4,5;\n"]) == ";"
    assert find_delimiter(["a;b;c;\n", "1;2,5;3,5\n", "2;3,5;4,5\n"]) == ";"
    assert find_delimiter(["a;b, c;d\n", "1;Shoe, 3;5;\n", "2;Boot, 4;6;\n"]) == ";"
    # Others name one column too few.
    assert find_delimiter(["a;b;c\n", "1;Shoe;3,5;EUR\n", "2;Boot;4,5;EUR\n"]) == ";"


def test_a_line_may_name_the_delimiter(tmp_path: Path) -> None:
    rows, (bad,), _ = read(write(tmp_path, 'sep=~\r\nid~title\r\n1~Shoe, red\r\n2~"Boot\r\n'))
    assert [row.title for row in rows] == ["Shoe, red"] and "line 4" in bad.reason


def test_the_delimiter_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, "id:title\n1:Shoe, red\n")
    (row,), _, _ = read(path, ReadOptions(form=TableForm(delimiter=":")))
    assert row.title == "Shoe, red"
    with pytest.raises(ValueError, match="one character"):
        TableForm(delimiter=";;")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_quote_that_never_closes_costs_its_row_alone(tmp_path: Path, ending: str) -> None:
    lines = ["product_id,title", '1,"Monitor 24', "2,Shoe", "3,Boot", "4,Hat", "5,Cap"]
    rows, (bad,), _ = read(write(tmp_path, ending.join(lines)))
    assert [row.product_id for row in rows] == ["2", "3", "4", "5"]
    assert bad.row_number == 1 and "line 2: a quote is opened" in bad.reason


def test_a_quote_that_closes_in_another_row_swallows_none(tmp_path: Path) -> None:
    text = 'product_id,title\n1,Pot\n2,"Shoe 9\n3,Boot\n4,Hat\n5,"Boot"\n6,Cap\n'
    rows, (bad,), _ = read(write(tmp_path, text))
    assert [row.product_id for row in rows] == ["1", "3", "4", "5", "6"]
    assert bad.row_number == 2 and "line 3" in bad.reason
    text = 'id,title,brand\n1,"Shoe 9,a\n2,Boot 24",b\n3,Hat,c\n'
    rows, (bad,), _ = read(write(tmp_path, text))
    assert [row.product_id for row in rows] == ["2", "3"] and bad.row_number == 1
    text = 'id,title\n1,Pot\n2,"Shoe 9\n3,Boot\n4,TV 9"\n5,"Cap,\nblue, red"\n'
    rows, (bad,), _ = read(write(tmp_path, text))
    assert [row.product_id for row in rows] == ["1", "3", "4", "5"] and bad.row_number == 2
    assert rows[-1].title == "Cap,\nblue, red"


def test_cells_may_hold_lines_quotes_and_delimiters(tmp_path: Path) -> None:
    text = 'id,title,description\n1,"Shoe ""9"", red","two\n\nlines, here"\n2,24" screen,x\n'
    rows, bad, _ = read(write(tmp_path, text))
    assert not bad and rows[0].title == 'Shoe "9", red'
    assert rows[0].description == "two\n\nlines, here" and rows[1].title == '24" screen'


def test_quotes_may_stand_behind_backslashes_and_blanks(tmp_path: Path) -> None:
    text = 'id,title,price\n1,"Monitor 24\\" wide",5\n2, "Shoe, \\"red\\"", 6\n3, "Hat, blue", 7\n'
    rows, bad, _ = read(write(tmp_path, text))
    assert [row.title for row in rows] == ['Monitor 24" wide', 'Shoe, "red"', "Hat, blue"]
    assert not bad and rows[2].price == 7


def test_a_lone_column_may_hold_any_sign(tmp_path: Path) -> None:
    rows, bad, _ = read(write(tmp_path, 'title\nShoe\n"Boot, red"\nHat, blue\n'))
    assert [row.title for row in rows] == ["Shoe", "Boot, red", "Hat, blue"] and not bad


@pytest.mark.slow  # memory that is traced is slow
def test_a_line_without_end_is_never_whole_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_rows, "LONGEST_ROW_CHARACTERS", 1 << 20)
    lines = [b"id,title\n1,", b"a" * (40 << 20), b"\n2,Shoe\n"]
    path = write(tmp_path, gzip.compress(b"".join(lines), 1), "t.csv.gz")
    tracemalloc.start()
    (row,), (bad,), _ = read(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert row.title == "Shoe" and "longer than" in bad.reason and peak_bytes < 20 << 20


def test_a_quote_within_a_cell_opens_none(tmp_path: Path) -> None:
    text = 'sku,title,price\n1,The "best" mug, really,5\n2,"Pan, 24""",6\n="003",A "pot",7\n'
    rows, bad, _ = read(write(tmp_path, text))
    assert not bad and [(row.product_id, row.title, row.price) for row in rows] == [
        ("1", 'The "best" mug, really', 5),
        ("2", 'Pan, 24"', 6),
        ("003", 'A "pot"', 7),
    ]


def test_tab_separated_text_may_hold_bare_quotes(tmp_path: Path) -> None:
    rows, bad, _ = read(write(tmp_path, 'id\ttitle\n1\t"Best" shoe\n2\tBoot\n', "t.tsv"))
    assert [row.title for row in rows] == ['"Best" shoe', "Boot"] and not bad


def test_a_row_of_too_many_cells_is_bad_unless_they_are_empty(tmp_path: Path) -> None:
    rows, (bad,), _ = read(write(tmp_path, "id,title\n1,Shoe,red\n2,Boot,,\n\n3,Hat\n"))
    assert [row.product_id for row in rows] == ["2", "3"]
    assert bad.reason == (
        "line 2: has 3 cells; the header names 2: put cells that hold ',' in quotes, or name each "
        "column"
    )


def test_a_cell_of_another_encoding_is_mended(tmp_path: Path) -> None:
    lines = ["id,title", *(f"{n},чай {n}" for n in range(5))]
    path = write(tmp_path, "\n".join(lines).encode() + b"\n9,M\xfcller\n")
    rows, bad, _ = read(path)
    assert rows[-1].title == "Müller" and rows[0].title == "чай 0" and not bad


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProductFileError, match=r"table\.csv has no column 'c'.*a, b"):
        read_cells(write(tmp_path, "a,b\n1,2\n"), ["c"])


def test_columns_of_one_name_or_none_are_told_apart(tmp_path: Path) -> None:
    path = write(tmp_path, "id,title,title,,image,image\n1,Shoe,Boot,,https://a/b.jpg,//a/c.jpg\n")
    assert open_table(path).columns == ("id", "title", "title 2", "4", "image", "image 2")
    (row,), _, _ = read(path)
    assert row.title == "Shoe" and len(row.photos) == 2
    (row,), _, _ = read(path, ReadOptions(columns={"title": ("3",)}))
    assert row.title == "Boot"


@pytest.mark.parametrize("preamble", ["My shop\n", "# exported\n", "A\n\nB\n"])
def test_what_a_report_is_called_stands_before_the_header(tmp_path: Path, preamble: str) -> None:
    text = preamble + 'id,title,price\n1,Shoe,5\n2,"Boot,6\n,,\n3,Hat,7\n'
    rows, (bad,), _ = read(write(tmp_path, text))
    assert [(row.product_id, row.price) for row in rows] == [("1", 5.0), ("3", 7.0)]
    assert f"line {preamble.count(chr(10)) + 3}:" in bad.reason


@pytest.mark.parametrize(
    "lines",
    [
        ["TemplateType=custom,Version=2023,The top 3 rows are for us", "Seller SKU,Product Name,"
         "Your Price", "item_sku,item_name,standard_price", "1,Shoe,5", "2,Hat,7"],
        ["#INFO,Version=1.0,", "CustomLabel,*Title,*StartPrice", "1,Shoe,5", "2,Hat,7"],
        ["id,title,price", "1,Shoe,5", "\ufeffid,title,price", "2,Hat,7"],
        ["id,title,price", "1,Shoe,5", '"id","title","price"', "2,Hat,7"],
        ["| id | title | price |", "|----|:-----:|------:|", "| 1 | Shoe | 5 |", "| 2 | Hat | 7 |"],
        ["+----+-------+", "| id | title | price |", "+----+-------+", "| 1 | Shoe | 5 |",
         "| 2 | Hat | 7 |", "+----+-------+"],
        ["┌───────┬─────────┬────────┐", "│  id   │  title  │ price  │",
         "│ int64 │ varchar │ double │", "├───────┼─────────┼────────┤",
         "│     1 │ Shoe    │    5.0 │", "│     2 │ Hat     │    7.0 │",
         "└───────┴─────────┴────────┘"],
    ],
)  # fmt: skip
def test_templates_joined_files_and_ruled_tables_hold_their_products_alone(
    tmp_path: Path, lines: list[str]
) -> None:
    rows, bad, _ = read(write(tmp_path, "\n".join(lines)))
    found = [(row.product_id, row.title, row.price) for row in rows]
    assert found == [("1", "Shoe", 5.0), ("2", "Hat", 7.0)] and not bad


def test_a_product_that_is_called_like_a_field_is_no_header(tmp_path: Path) -> None:
    rows, bad, _ = read(write(tmp_path, "id,title,brand\n1,Name,Photo\n2,Hat,Acme\n"))
    assert [row.title for row in rows] == ["Name", "Hat"] and not bad


@pytest.mark.parametrize(
    ("cell", "title"),
    [("MÃ¼ller KÃ¤se", "Müller Käse"), ("Menâ€™s", "Men’s"), ("NESCAFÉ® PÃO", "NESCAFÉ® PÃO")],
)
def test_letters_that_were_read_wrongly_before_are_mended(
    tmp_path: Path, cell: str, title: str
) -> None:
    (row,), _, _ = read(write(tmp_path, f"id,title\n1,{cell}\n"))
    assert row.title == title


def test_half_an_emoji_costs_no_file_of_utf_16(tmp_path: Path) -> None:
    text = "\ufeffid,title\n1,Tea \ud83d\n2,Mug\n".encode("utf-16-le", "surrogatepass")
    rows, bad, _ = read(write(tmp_path, text))
    assert [row.title for row in rows] == ["Tea \ufffd", "Mug"] and not bad


@pytest.mark.parametrize(
    "text",
    [
        "# Export of a shop\nid,title\n1,Tea\n# Section 2\n2,Milk\n",
        "# Export of a shop\n# Created 2024, all rights\n#\nid,title\n1,Tea\n2,Milk\n",
        "#id\ttitle\n1\tTea\n2\tMilk\n",
        "id,title\n1,Te\0a\n2,Milk\n\0\0\0",
        "id,title\r\n1,Tea\r\n2,Milk\r\n\x1a",
        '"id,title"\n"1,Tea"\n2,Milk\n',
        '"id;title";\n1;Tea\n2;Milk\n',
        "id\x1ftitle\n1\x1fTea\n2\x1fMilk\n",
        "Products,,Text\nid,title,brand\n1,Tea,\n2,Milk,\n",
        "Table: M\n-----\n|MATNR|MAKTX|NETPR|\n-----\n|1|Tea |1,00|\n|2|Milk|2,50|\n",
        " id | title | price\n----+-------+------\n 1 | Tea | 5\n 2 | Milk | 6\n(2 rows)\n",
    ],
)
def test_what_programs_write_beside_the_cells_is_no_cell(tmp_path: Path, text: str) -> None:
    rows, bad, _ = read(write(tmp_path, text))
    assert [(row.product_id, row.title) for row in rows] == [("1", "Tea"), ("2", "Milk")]
    assert not bad


def test_a_table_of_one_quoted_column_is_no_wrapped_one(tmp_path: Path) -> None:
    text = '"Name, full"\n"Tea\ngreen, 5"\n"Mug, blue"\nPan\n'
    rows, bad, _ = read(write(tmp_path, text), ReadOptions(columns={"title": ["Name, full"]}))
    assert [row.title for row in rows] == ["Tea\ngreen, 5", "Mug, blue", "Pan"] and not bad


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_first_cell_may_hold_lines_too(tmp_path: Path, ending: str) -> None:
    lines = [
        "title,sku,price",
        '"Foam roller',
        '(long)",FR-1,24.50',
        '"Two',
        'lines",B,2',
        "Mat,M,1",
    ]
    rows, bad, _ = read(write(tmp_path, ending.join(lines)))
    assert [row.product_id for row in rows] == ["FR-1", "B", "M"] and not bad
    assert rows[0].title == f"Foam roller{ending}(long)"


def test_names_of_columns_may_go_over_lines(tmp_path: Path) -> None:
    table = 'List of March\n\n"Product\nCode","Product\nName",Price\n001,Mug,5\n002,Pan,6\n'
    rows, bad, _ = read(write(tmp_path, table))
    assert not bad and [(row.product_id, row.title) for row in rows] == [
        ("001", "Mug"),
        ("002", "Pan"),
    ]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("id,title\n'1','Mug, red'\n'2','Pan'\n", ["1", "Mug, red"]),
        ("id,title\n1,Mug\\, red\n2,Pan\n", ["1", "Mug, red"]),
        ('id,title\n1,"TV 55\\", OLED"\n2,Pan\n', ["1", 'TV 55", OLED']),
        ('"id" ,"title"\n"1" ,"Mug, red"\n', ["1", "Mug, red"]),
        ('id,title\n"1","TV 12" wide"\n"2","Pan"\n', ["1", 'TV 12" wide']),
        ('id,title\n1,"TV 65" OLED, black"\n2,Pan\n', ["1", 'TV 65" OLED, black']),
        ('id,title\n"1",TV 65" OLED\n2,"Pan"\n', ["1", 'TV 65" OLED']),
        ('id,title\n1,{"en": "Mug", "de": "Becher"}\n', ["1", '{"en": "Mug", "de": "Becher"}']),
    ],
)
def test_quotes_of_other_programs_are_read(tmp_path: Path, text: str, cells: list[str]) -> None:
    table = open_delimited(write(tmp_path, text), TableForm())
    assert table.header == ("id", "title") and next(table.rows()) == cells


@pytest.mark.parametrize(
    "text",
    [
        "id,title,price\n1,Coffee beans,3,99\n2,Tea,4,99\n",
        "title,brand\nUSB stick,new,Acme\nMouse,new,Acme\n",
    ],
)
def test_a_delimiter_in_each_row_shifts_no_column(tmp_path: Path, text: str) -> None:
    table = open_delimited(write(tmp_path, text), TableForm())
    assert all("put cells that hold ',' in quotes" in str(row) for row in table.rows())


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("id,title,price\n1,Mug, red, large,5\n2,Pan,6\n", ["Mug, red, large", "Pan"]),
        ("id,price,title\n1,5,Jar, 2 l, glass\n2,6,Pan\n", ["Jar, 2 l, glass", "Pan"]),
        ("title,brand\nUSB stick, new,Acme\nMouse, new,Acme\n", ["USB stick, new", "Mouse, new"]),
        ("id,title,price\n1,Mug,red, 5\n2,Pan,6\n", ["Pan"]),
    ],
)
def test_words_behind_a_delimiter_and_a_blank_belong_to_the_cell_before(
    tmp_path: Path, text: str, titles: list[str]
) -> None:
    rows, _, _ = read(write(tmp_path, text))
    assert [row.title for row in rows] == titles


def test_names_of_rows_have_a_column_of_their_own(tmp_path: Path) -> None:
    table = open_delimited(
        write(tmp_path, '"sku","title"\n"1","A-7","Tea"\n"2","A-8","Mug"\n'), TableForm()
    )
    assert table.header == ("1", "sku", "title") and next(table.rows()) == ["1", "A-7", "Tea"]


def test_a_row_of_several_lines_that_is_too_long_is_one_bad_row(tmp_path: Path) -> None:
    text = 'id,title,brand\n1,"a\\","b\nc",x,y,z\n2,"d",e\n'
    bad, good = open_delimited(write(tmp_path, text), TableForm()).rows()
    assert "has 6 cells" in bad and good == ["2", "d", "e"]


def test_a_row_of_several_lines_may_have_a_backslash_before_its_quotes(tmp_path: Path) -> None:
    text = 'id,title,brand\n1,"a \\"b\nc",x\n2,"d",e\n'
    first, second = open_delimited(write(tmp_path, text), TableForm()).rows()
    assert first == ["1", 'a "b\nc', "x"] and second == ["2", "d", "e"]


@pytest.mark.parametrize(
    "table",
    [
        "id\ttitle\tbrand\tdescription\n1\tMug\t\\N\tone\\\ntwo\\\nthree\n2\tPan\t\\N\t\\N\n",
        "id,title,brand,description\n1,Mug,\\N,one\\\ntwo\\\nthree\n2,Pan,\\N,\\N\n",
        'id,title,brand,description\n"1","Mug",\\N,"one\\\ntwo\\\nthree"\n"2","Pan",\\N,\\N\n',
    ],
)
def test_line_ends_and_nothing_of_mysql_are_read(tmp_path: Path, table: str) -> None:
    rows, bad, _ = read(write(tmp_path, table))
    found = [(row.title, row.brand, row.description) for row in rows]
    assert found == [("Mug", "", "one\ntwo\nthree"), ("Pan", "", "")] and not bad


def test_nothing_of_mysql_is_no_letter_beside_escaped_quotes(tmp_path: Path) -> None:
    table = 'id,title,brand\n"1","Mug \\"big\\"",\\N\n"2","Nuts \\"N\\"",Acme\n'
    rows, _, _ = read(write(tmp_path, table))
    assert [(row.title, row.brand) for row in rows] == [('Mug "big"', ""), ('Nuts "N"', "Acme")]


def test_a_backslash_at_the_end_of_a_whole_row_joins_no_other(tmp_path: Path) -> None:
    rows, _, _ = read(write(tmp_path, "id\ttitle\tfolder\n1\tMug\tC:\\x\\\n2\tPan\tC:\\y\\\n"))
    assert [row.title for row in rows] == ["Mug", "Pan"]
