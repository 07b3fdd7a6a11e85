"""Columns whose name does not tell which field they hold: their first rows do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.column_guess import map_table
from twinshelf.client.files.column_proposal import guess_columns
from twinshelf.client.files.file_check import propose
from twinshelf.client.files.forms.header import lies_sideways
from twinshelf.client.files.forms.table import open_table
from twinshelf.client.files.product_rows import USUAL_OPTIONS, ReadOptions
from twinshelf.client.files.rows import ProductFileError


@pytest.mark.parametrize(
    ("name", "cells", "product_ids"),
    [
        ("train_id", ["0", "1"], ["0", "1"]),
        ("trainId", ["0", "1"], ["0", "1"]),
        ("Material", ["P-100", "P-101"], ["P-100", "P-101"]),
        ("Satıcı Stok Kodu", ["S1", "S2"], ["S1", "S2"]),
        ("ISBN13", ["978", "979"], ["978", "979"]),
        ("EAN/UPC", ["40", "41"], ["40", "41"]),
        ("train_id", ["7", "7"], ["1", "2"]),
        ("Material", ["cotton 1", "cotton 2"], ["1", "2"]),
        ("category_id", ["10", "11"], ["1", "2"]),
        ("android", ["a1", "a2"], ["1", "2"]),
        ("Unique Merchant SKU", ["A1", "A2"], ["A1", "A2"]),
        ("Your item number", ["A1", "A2"], ["A1", "A2"]),
        ("order id of", ["A1", "A2"], ["1", "2"]),
        ("idAmazon", ["b000", "a2"], ["b000", "a2"]),
        ("idCategory", ["10", "11"], ["1", "2"]),
        ("gameid", ["0", "1"], ["0", "1"]),
        ("prepaid", ["0", "1"], ["1", "2"]),
    ],
)
def test_an_identifier_by_an_unusual_name_is_read_where_rows_do_not_share_it(
    tmp_path: Path, name: str, cells: list[str], product_ids: list[str]
) -> None:
    lines = [f"{name},title", *(f"{cell},Tea {number}" for number, cell in enumerate(cells))]
    rows, _, _ = read(write(tmp_path, "\n".join(lines)))
    assert [row.product_id for row in rows] == product_ids


def test_short_descriptions_that_are_alone_are_titles(tmp_path: Path) -> None:
    path = write(tmp_path, "sku,Description,price\na1,Kettle 1.7 l,5\na2,Blue mug,6\n")
    assert map_table(open_table(path), {})["title"] == ("Description",)
    assert "title" not in map_table(open_table(path), {"description": ("Description",)})
    rows = "a1,Kettle 1.7 l,Boils fast\na2,Blue mug,Of clay\n"
    path = write(tmp_path, "sku,Omschrijving,Omschrijving lang\n" + rows)
    columns = map_table(open_table(path), {})
    assert columns["title"] == ("Omschrijving",)
    assert columns["description"] == ("Omschrijving lang",)


@pytest.mark.parametrize(
    ("table", "field", "column"),
    [
        ("sku,title,product_name\n1,,Red mug\n2,,Blue mug\n", "title", "product_name"),
        ("sku,title,category,type\n1,Mug,,Mugs\n2,Pan,,Pans\n", "category", "type"),
        ("sku,title,category,type\n1,Mug,104,Mugs\n2,Pan,105,Pans\n", "category", "type"),
        ("sku,title,category,type\n1,Mug,104,\n2,Pan,105,\n", "category", "category"),
        ("sku,title,category\n1,Mug,\n2,Pan,\n", "category", "category"),
        ("Item,Description\n10-1,Blue mug\n10-2,Red pan\n", "title", "Description"),
        ("Item,Description\n10-1,Blue mug\n10-2,Red pan\n", "product_id", "Item"),
        ("No.,Description\n1000,Blue mug\n1001,Red pan\n", "product_id", "No."),
        ("No.,Description\n1,Blue mug\n2,Red pan\n", "product_id", None),
        ("Item,Description\n10-1,Blue mug\n10-2,Red pan\nTotal,\n", "product_id", "Item"),
        ("Item,Description\n10-1,Mug\n,Subtotal,\n10-2,Pan\n,Subtotal\n", "product_id", "Item"),
        ("Item,Description\n10-1,Blue mug\n10-2,Red pan\nPage 1 of 2,\n", "product_id", "Item"),
        ("uuid,identifier,title\n1f,A,Mug\n2f,B,Pan\n", "product_id", "identifier"),
        ("image,caption\na.jpg,A red mug\nb.jpg,A blue hat\n", "title", "caption"),
        ("sku,name,caption\n1,Mug,A red mug\n2,Hat,A blue hat\n", "description", "caption"),
        ("كود الصنف,الاسم,القسم\nA,كوب,مطبخ\nB,مقلاة,مطبخ\n", "category", "القسم"),
        ("كود الصنف,الاسم\nA,كوب\nB,مقلاة\n", "product_id", "كود الصنف"),
        ("sku,title,Cost,Price\n1,Mug,2,3\n2,Pan,2,on request\n", "price", "Price"),
        (
            "sku;title;Preis inkl. MwSt.\n1;Mug;12,99 € inkl. MwSt.\n2;Pan;9,00 € inkl. MwSt.\n",
            "price",
            "Preis inkl. MwSt.",
        ),
        ("sku,title,haendler\n1,Mug,Kuhn\n2,Pan,Abel\n", "seller", "haendler"),
        ("item,photo\nid_1,a.jpg\nid_2,b.jpg\n", "product_id", "item"),
        ("item,photo\nid_1,a.jpg\nid_2,b.jpg\n", "title", None),
        ("Product,Price\nA54,300\nS23,700\n", "title", "Product"),
        ("EAN,Partner SKU,title\n401,A,Mug\n402,B,Pan\n", "product_id", "Partner SKU"),
        ("EAN,Your item no,title\n401,A,Mug\n402,A,Pan\n", "product_id", "EAN"),
        ("EAN,Maker part no,title\n401,A,Mug\n402,B,Pan\n", "product_id", "EAN"),
        ("Bestellnr.,ISBN,title\nB1,,Mug\nB2,3518018116,Pan\n", "product_id", "Bestellnr."),
        ("sku,title,x\n1,Mug,http://a.b/1.jpg\n2,Pan,http://a.b/2.jpg\n", "images", "x"),
        ("sku,title,x\n1,Mug,http://a.b/1\n2,Pan,http://a.b/2\n", "images", None),
        ("sku,title,Type\n1,Mug,digital\n2,Pan,physical\n", "category", None),
        ("sku,title,Type\n1,Mug,Inventory\n2,Pan,Non-inventory\n", "category", None),
        ("sku,title,Type\n1,Mug,simple\n2,Pan,variable\n", "category", None),
        ("sku,title,group\n" + "1,Mug,Tools\n" * 6, "category", "group"),
        *(
            ("product_id,title,category,group\n1,,c,g1\n2,,c,g1\n3,,d,g2\n4,,d,g2\n", each, each)
            for each in ("product_id", "group")
        ),
        ("sku,title,group\n1,Mug,g1\n2,Mug,g1\n3,Pan,g2\n4,Pan,g2\n5,Pot,g3\n", "group", "group"),
    ],
)
def test_a_column_that_holds_nothing_of_its_field_gives_way_to_another(
    tmp_path: Path, table: str, field: str, column: str | None
) -> None:
    columns = map_table(open_table(write(tmp_path, table)), {})
    assert columns.get(field, (None,))[0] == column


def test_photos_beside_an_unnamed_title_are_no_product_yet(tmp_path: Path) -> None:
    path = write(tmp_path, "image,maker_txt\n1.jpg,Blue steel mug\n2.jpg,Red oak pan\n")
    with pytest.raises(ProductFileError, match="--columns title=maker_txt, or leave titles out"):
        map_table(open_table(path), {})
    assert map_table(open_table(path), {"title": ()}) == {"images": ("image",)}


def test_descriptions_that_begin_with_an_unnamed_title_are_no_titles(tmp_path: Path) -> None:
    table = "sku,what,Description\n1,Blue steel mug,Blue steel mug in box\n2,Oak pan,Oak pan big\n"
    path = write(tmp_path, table)
    with pytest.raises(ProductFileError, match="--columns title=what"):
        map_table(open_table(path), {})
    assert guess_columns(open_table(path))["title"] == ("what",)


def test_paths_of_photos_are_no_titles_and_measures_no_prices(tmp_path: Path) -> None:
    table = "x,y,z,weight,size\n/up/blue mug.jpg,a,Mug,0.3,50 ml\n/up/red pan.jpg,b,Pan,0.5,2 l"
    guessed = guess_columns(open_table(write(tmp_path, table)))
    assert guessed["title"] == ("z",) and "price" not in guessed


def test_a_price_in_the_money_of_iran_is_one(tmp_path: Path) -> None:
    (row,), _, _ = read(write(tmp_path, "id;title;قیمت فروش\n1;Mug;۱۲۹٬۰۰۰ تومان\n"))
    assert row.price == 129_000


def test_nested_columns_that_do_not_fit_are_left(tmp_path: Path) -> None:
    records = '[{"id": 1, "attributes": {"name": "Blue mug", "description": "d"}}]'
    columns = map_table(open_table(write(tmp_path, records, "t.json")), {})
    assert columns["title"] == ("attributes.name",)


@pytest.mark.parametrize(
    ("details", "attributes"),
    [
        ({"UPC": "61", "Form": "Bar", "Rank": {"Soap": 7}}, {"UPC": "61", "Form": "Bar"}),
        ('{"UPC": "61"}', {"UPC": "61"}),
        ("form:bar|weightgrams:90.5", {"form": "bar", "weightgrams": "90.5"}),
        ("Note: it is a bar of soap", {}),
        (["Vegan", "No: 2"], {}),
    ],
)
def test_objects_and_pairs_called_details_are_attributes(
    tmp_path: Path, details: object, attributes: dict[str, str]
) -> None:
    goods = [
        {"id": n, "title": "Soap", "description": "A bar.", "details": details} for n in (1, 2)
    ]
    rows, bad, _ = read(write(tmp_path, json.dumps(goods), "t.json"))
    assert [dict(row.attributes) for row in rows] == [attributes] * 2 and not bad
    assert rows[0].description == "A bar."


@pytest.mark.parametrize(
    "table",
    [
        "SKU,A1,A2,A3\nName,Red mug,Tin pan,Pot\nBrand,Falk,Roe,Roe\nPrice,3,4,5\n",
        "Property,Ware 1,Ware 2\nArtikelnummer,A1,A2\nBezeichnung,Krug,Topf\nPreis,3,4\n",
    ],
)
def test_a_table_on_its_side_is_refused_by_name(tmp_path: Path, table: str) -> None:
    path = write(tmp_path, table)
    with pytest.raises(ProductFileError, match="lies on its side: .* Turn it, so that each row"):
        propose(path, USUAL_OPTIONS)
    with pytest.raises(ProductFileError, match="lies on its side"):
        read(path)
    by_hand = ReadOptions(columns={"title": (path.read_text().split(",")[1],)})
    assert len(read(path, by_hand)[0]) == 3


def test_products_called_like_fields_stand_upright(tmp_path: Path) -> None:
    for table in ("title,price,brand\nName,3,A\nPrice,4,B\nBrand,5,C\n", "a,b,c\nPrice,x y,1\n"):
        assert not lies_sideways(*_header_and_first(write(tmp_path, table)))


def _header_and_first(path: Path) -> tuple[list[str], list[str]]:
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    return header, [row[0] for row in rows]


def test_articles_are_titles_where_nothing_else_is_and_they_read_so(tmp_path: Path) -> None:
    path = write(tmp_path, "Ref.;Article;PVP\nR1;Steel kettle;39,90\nR2;Iron pan;54,00\n")
    columns = map_table(open_table(path), {})
    assert (columns["product_id"], columns["title"]) == (("Ref.",), ("Article",))
    path = write(tmp_path, "Article;Libellé;PVP\nA 1;Steel kettle;39,90\nA 2;Iron pan;54,00\n")
    columns = map_table(open_table(path), {})
    assert (columns["product_id"], columns["title"]) == (("Article",), ("Libellé",))


def test_attributes_none_of_which_can_be_read_are_left_out(tmp_path: Path) -> None:
    for features, is_read in (("['Boils fast']", False), ("{'colour': 'red'}", True)):
        path = write(tmp_path, f'id,title,feature\n1,Red kettle,"{features}"\n2,Tin pan,\n')
        assert ("attributes" in map_table(open_table(path), {})) == is_read
        assert not read(path)[2]


def test_several_suppliers_are_brands_where_nothing_else_is(tmp_path: Path) -> None:
    for header, names, field in (
        ("supplier", ("Falk", "Roe"), "brand"),
        ("Lieferant", ("Falk", "Roe"), "brand"),
        ("supplier", ("Metro", "Metro"), "seller"),
        ("seller", ("Falk", "Roe"), "seller"),
    ):
        rows = "".join(f"{n},Red mug {n},{name}\n" for n, name in enumerate(names))
        columns = map_table(open_table(write(tmp_path, f"id,name,{header}\n{rows}")), {})
        assert columns[field] == (header,) and len(columns) == 3
    path = write(tmp_path, "id,name,supplier,brand\n1,Mug,Metro,Falk\n2,Pan,Rewe,Roe\n")
    assert map_table(open_table(path), {})["seller"] == ("supplier",)


def test_codes_in_parts_under_a_name_of_things_are_identifiers(tmp_path: Path) -> None:
    rows = "AB 100 X,Red mug,3\nAB 110 Y,Tin pan,4\n"
    columns = map_table(open_table(write(tmp_path, f"Item,Item Description,Price\n{rows}")), {})
    assert (columns["product_id"], columns["title"]) == (("Item",), ("Item Description",))
    rows = "Mug 2,A red mug of clay,3\nPan 3,A tin pan for two,4\n"
    columns = map_table(open_table(write(tmp_path, f"Item,Item Description,Price\n{rows}")), {})
    assert columns["title"] == ("Item",)


def test_headings_between_products_are_no_identifiers(tmp_path: Path) -> None:
    rows = "DRINKS,,\nB1,Black tea,3\nB2,Mate,4\nFOOD,,\nF1,Rye bread,5\nF2,Oat bar,6\n"
    products, bad, _ = read(write(tmp_path, f"Item,Description,Price\n{rows}"))
    assert [row.product_id for row in products] == ["B1", "B2", "F1", "F2"] and not bad


@pytest.mark.parametrize("header", ["sku,attribute,value", "entity_id,attribute_code,data"])
def test_a_table_of_a_field_in_each_row_is_refused_by_name(tmp_path: Path, header: str) -> None:
    rows = "".join(f"K{n},name,Red mug\nK{n},price,{n}\nK{n},brand,Falk\n" for n in (1, 2, 3))
    path = write(tmp_path, f"{header}\n{rows}")
    with pytest.raises(ProductFileError, match="a row for each field of a product, which 'attr"):
        propose(path, USUAL_OPTIONS)
    rows = "".join(f"K{n},Mug {n},{'price' if n % 2 else 'name'}\n" for n in range(6))
    assert len(read(write(tmp_path, f"sku,title,brand\n{rows}"))[0]) == 6
