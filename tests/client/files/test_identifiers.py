"""Which column identifies a product, and what becomes of identifiers that are odd or repeat."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.column_proposal import guess_columns
from twinshelf.client.files.forms.table import open_table
from twinshelf.client.files.product_rows import ReadOptions
from twinshelf.client.files.rows import ProductFileError


def test_leading_zeros_of_identifiers_stay_but_not_those_behind_a_point(tmp_path: Path) -> None:
    rows, _, _ = read(write(tmp_path, "product_id,title\n007,Coffee\n008.0,Shoe\n"))
    assert [row.product_id for row in rows] == ["007", "008"]


def test_the_row_number_is_the_identifier_where_there_is_none(tmp_path: Path) -> None:
    rows, _, findings = read(write(tmp_path, "title\nShoe\nBoot\n"))
    assert [row.product_id for row in rows] == ["1", "2"] and not findings
    rows, _, findings = read(write(tmp_path, "product_id,title\na,Shoe\n,Boot\nNULL,Hat\n"))
    assert [row.product_id for row in rows] == ["a", "2", "3"]
    assert findings == ["2 rows without an identifier called by the row's number, such as '2'"]


@pytest.mark.parametrize(
    "name",
    ["Stock Code", "Part #", "Шифра артикла", "Style No.", "Kat.-Nr.", "Réf. fournisseur",
     "Supplier Part Number", "品番", "管理番号", "상품 코드", "Teilenummer", "Onderdeelnr.",
     "Référence pièce", "Número de pieza"],
)  # fmt: skip
def test_a_column_named_like_a_products_number_is_the_identifier(tmp_path: Path, name: str) -> None:
    table = write(tmp_path, f"No.;{name};name;HS Code\n1;A 7;Blue mug;69\n2;GIFT;Red mug;70\n")
    assert [product.product_id for product in read(table)[0]] == ["A 7", "GIFT"]


@pytest.mark.parametrize(
    "name",
    ["phone number", "HS Code", "Año", "Tamaño", "Magazzino", "Paid", "In stock no", "shop id",
     "Colour code", "Pos.-Nr.", "Zolltarifnummer", "電話番号", "brand.id"],
)  # fmt: skip
def test_a_number_of_something_else_is_no_identifier(tmp_path: Path, name: str) -> None:
    table = write(tmp_path, f"{name};name\n11;Blue mug\n12;Red mug\n")
    assert [product.product_id for product in read(table)[0]] == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "cells"),
    [("Inventory", "12 7 135"), ("Set", "2 6"), ("Vintage", "2015 2018"), ("Tax", "5% 0%"),
     ("Voorraad", "3 48"), ("Peso", "1.25 0.4"), ("Leistung", "500W 1200W"),
     ("Pages", "320 96 1010")],
)  # fmt: skip
def test_what_counts_or_measures_is_no_identifier(tmp_path: Path, name: str, cells: str) -> None:
    rows = [
        f"{word} wine of the valley,{cell}"
        for word, cell in zip("abc", cells.split(), strict=False)
    ]
    table = write(tmp_path, "\n".join([f"Name,{name}", *rows]))
    assert [product.product_id for product in read(table)[0]] == [*"123"][: len(rows)]
    assert "product_id" not in guess_columns(open_table(table))


def test_numbers_in_the_first_column_or_in_order_may_be_identifiers(tmp_path: Path) -> None:
    first = write(tmp_path, "Item,Description\n100,Washer M8\n7,Washer M10\n")
    assert [product.product_id for product in read(first)[0]] == ["100", "7"]
    for cells in ("A12 A7 A135", "7 12 135", "10012 10007 10135", "007 012 003"):
        rows = [
            f"{word} wine of the valley,{cell}"
            for word, cell in zip("abc", cells.split(), strict=False)
        ]
        table = open_table(write(tmp_path, "\n".join(["Name,x", *rows])))
        assert guess_columns(table)["product_id"] == ("x",), cells


def test_a_number_by_its_name_is_proposed_though_it_has_blanks(tmp_path: Path) -> None:
    rows = "1K0 615 AA,0986479,Brake disc in front\n1K0 698 A,0986494,Brake pads in front\n"
    table = open_table(write(tmp_path, f"Teilenummer,Hersteller-Nr.,x\n{rows}"))
    proposed = guess_columns(table)
    assert proposed["product_id"] == ("Teilenummer",) and proposed["title"] == ("x",)


def test_a_number_of_the_trade_with_holes_gives_way_to_another_identifier(tmp_path: Path) -> None:
    books = write(tmp_path, 'Book Id,Title,ISBN\n27,Tea,"=""0439"""\n41,Pots,"="""""\n')
    assert [product.product_id for product in read(books)[0]] == ["27", "41"]
    parts = write(tmp_path, "DK Part #,Mfr Part #,Description\n3-CT,RC0,Res 1K\n3-TR,RC0,Res 1K\n")
    assert [product.product_id for product in read(parts)[0]] == ["3-CT", "3-TR"]


def test_products_numbers_that_repeat_cost_no_row(tmp_path: Path) -> None:
    table = write(tmp_path, "Stock Code;name\nA7;Blue mug\nA7;Red mug\n")
    assert [product.product_id for product in read(table)[0]] == ["1", "2"]
    rows = [f"K{number};mug {number}" for number in [*range(210), 1]]
    products, bad, said = read(write(tmp_path, "\n".join(["Stock Code;name", *rows])))
    assert [product.product_id for product in products[-2:]] == ["K209", "211"] and not bad
    assert said == ["1 number that stood before, such as 'K1' of row 2: that of the row is taken"]


def test_a_product_that_is_changed_is_named_by_a_usual_identifier(tmp_path: Path) -> None:
    table = write(tmp_path, "Stock Code;Price\nA7;3\n")
    with pytest.raises(ProductFileError, match="needs a column of product_id"):
        read(table, ReadOptions(updated_fields=("price",)))
    table = write(tmp_path, "sku,ean,title\na1,40,Mug\n,41,Pan\n")
    rows, bad, _ = read(table, ReadOptions(updated_fields=("title",)))
    assert [row.product_id for row in rows] == ["a1"] and len(bad) == 1


def test_identifiers_that_a_table_program_marked_or_rounded_cost_no_row(tmp_path: Path) -> None:
    rows, bad, found = read(write(
        tmp_path, 'ean,title\n="0017",Shoe\n4.00639E+12,Boot\n4.00639E+12,Hat\n'
    ))  # fmt: skip
    assert [row.product_id for row in rows] == ["0017", "table-2", "table-3"] and not bad
    assert "2 identifiers that a table program rounded, such as '4.00639E+12'" in found[0]


@pytest.mark.parametrize("name", ["SKU", "SKU #", "Part Number"])
def test_a_usual_identifier_that_repeats_is_refused(tmp_path: Path, name: str) -> None:
    _, bad, _ = read(write(tmp_path, f"{name};name\nA7;Blue mug\nA7;Red mug\n"))
    assert [row.reason for row in bad] == ["product_id 'A7' stands in row 1 too"]


def test_the_second_of_two_with_one_identifier_is_bad(tmp_path: Path) -> None:
    path = write(tmp_path, "product_id,title\n1,Shoe\n1,Boot\n2,Hat\n")
    rows, (bad,), _ = read(path)
    assert [row.title for row in rows] == ["Shoe", "Hat"]
    assert str(bad) == "table.csv, row 2: product_id '1' stands in row 1 too"


@pytest.mark.parametrize(
    ("table", "ids"),
    [
        # Variants of one article, which has the better name.
        ("product_code,article_id,title\n108,1,Top\n108,2,Top\n110,3,Bra\n", ["1", "2", "3"]),
        ("product-id,seller-sku,title\nB01,A-1,Tea\nB01,A-2,Tea\n", ["A-1", "A-2"]),
        # Variants that go on with the product before them.
        ("Handle,Variant SKU,Title\ntea,1,Tea\ntea,2,\nmug,3,Mug\n", ["tea", "mug"]),
        ("Referentie,EAN,Titel\nR-1,87,Bel\nR-2,,Tas\n", ["R-1", "R-2"]),
        ("material,title\ncotton,Shirt\ncotton,Sock\n", ["1", "2"]),
        ("parent_asin,title\nB01,Tea\nB02,Mug\n", ["B01", "B02"]),
        ("id,title\n1,Tea\n2,Mug\n,Cup\n3,Hat\n", ["1", "2", "table-3", "3"]),
        ("sku,item_number,title\na1,100,Mug\n,101,Pan\na3,102,Pot\n", ["100", "101", "102"]),
        ("id,SKU,ean,title\n,S1,,Mug\n2,S2,,Pan\n", ["S1", "S2"]),
        ("sku,item_number,title\na1,,Mug\n,,Pan\n", ["a1", "2"]),
    ],
)
def test_the_identifier_is_that_which_products_do_not_share(
    tmp_path: Path, table: str, ids: list[str]
) -> None:
    rows, bad, _ = read(write(tmp_path, table))
    assert [row.product_id for row in rows] == ids and not bad


def test_a_barcode_that_products_share_costs_no_row(tmp_path: Path) -> None:
    rows, bad, _ = read(write(tmp_path, "upc,title\n111,Mug\n111,Pan\n222,Pot\n"))
    assert not bad and [row.product_id for row in rows] == ["111", "table-2", "222"]
    _, bad, _ = read(write(tmp_path, "sku,title\n111,Mug\n111,Pan\n222,Pot\n"))
    assert len(bad) == 1  # the shop's own number says that they are one


def test_a_number_that_comes_again_changes_no_other_row(tmp_path: Path) -> None:
    numbers = [*range(299), 7, *range(300, 400)]
    lines = [f"{number},Shoe {row}" for row, number in enumerate(numbers)]
    rows, bad, findings = read(write(tmp_path, "\n".join(["train_id,title", *lines])))
    assert not bad and findings[0].startswith("1 number that stood before")
    expected = [*map(str, range(299)), "table-300", *map(str, range(300, 400))]
    assert [row.product_id for row in rows] == expected
