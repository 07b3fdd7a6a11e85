"""Rows of product tables: only what is embedded costs a row; all else is left empty and counted."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.client.files.tables import JPEG, read, write
from twinshelf.client.file_products import offer_of, product_of
from twinshelf.client.files.names.columns import read_column_mapping
from twinshelf.client.files.product_row import Photo
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.client.files.rows import MissingFileError, ProductFileError, TableForm


def test_every_field_is_read(tmp_path: Path) -> None:
    write(tmp_path, JPEG, "a.jpg")
    path = write(
        tmp_path,
        "product_id,title,description,category,brand,seller,price,attributes,images,group\n"
        '7,Tea,<b>green</b>,Drinks,Leaf,Shop,"1 299,50 ₽","{""size"": ""1 kg"", ""bio"": true}",'
        "a.jpg;b.jpg,g1\n",
    )
    (row,), bad, findings = read(path)
    assert not bad and findings == [
        f"1 photo could not be read: there is no photo {tmp_path}/b.jpg"
    ]
    product = product_of(row)
    assert (product.product_id, product.title, product.seller) == ("7", "Tea", "Shop")
    assert (product.price, dict(product.attributes)) == (1299.5, {"size": "1 kg", "bio": "true"})
    assert (product.image, product.image_uri, row.group) == (JPEG, "a.jpg", "g1")
    assert [photo.name for photo in row.photos] == ["a.jpg", "b.jpg"]
    assert offer_of(row).description == "<b>green</b>"


def test_prices_that_cannot_be_read_are_left_empty_and_counted(tmp_path: Path) -> None:
    cells = [
        '"9,99"',
        '"1,299.00"',
        "$5",
        "1 299",
        "5.0",
        "N/A",
        "nan",
        "inf",
        "1e3",
        "1_000",
        "-1",
    ]
    lines = [f"{number},Shoe,{cell}" for number, cell in enumerate(cells, start=1)]
    rows, bad, findings = read(write(tmp_path, "\n".join(["product_id,title,price", *lines])))
    prices = [9.99, 1299.0, 5.0, 1299.0, 5.0, None, None, None, 1000.0, None, None]
    assert [row.price for row in rows] == prices and not bad
    assert findings == ["5 prices could not be read, such as 'N/A': left empty"]


@pytest.mark.parametrize(
    "name", ["price_cents", "Price (cents)", "priceInCents", "price in pence", "price_money.amount"]
)
def test_prices_in_cents_are_in_whole_units(tmp_path: Path, name: str) -> None:
    table = write(tmp_path, f"title;{name}\nmug;1250\ncup;12.50\nbowl;\nmat;0\n")
    assert [product.price for product in read(table)[0]] == [12.5, 12.5, None, 0]


def test_attributes_are_read_where_plain_and_else_left_out_and_counted(tmp_path: Path) -> None:
    cells = [
        '"{""a"": 1}"', "\"{'a': 1}\"", "red", '"{""a"": [1,2]}"', '"{""a"": {""b"":1}}"',
        "{}", "null", "colour: red; size: M", '"color=red,size=M|L"',
    ]  # fmt: skip
    lines = [f"{number},Shoe,{cell}" for number, cell in enumerate(cells, start=1)]
    rows, bad, findings = read(write(tmp_path, "\n".join(["product_id,title,attributes", *lines])))
    assert not bad
    assert [dict(row.attributes) for row in rows] == [
        {"a": "1"}, {"a": "1"}, {}, {"a": "1, 2"}, {}, {}, {}, {"colour": "red", "size": "M"},
        {"color": "red", "size": "M|L"},
    ]  # fmt: skip
    assert [finding.split(",")[0] for finding in findings] == [
        "1 cell of attributes could not be read",
        "1 attribute held objects or lists",
    ]


def test_a_photo_that_is_not_there_costs_no_offer_that_has_a_text(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        write(tmp_path, JPEG, name)
    path = write(
        tmp_path,
        "product_id,title,images\n1,Shoe,http://example.com/a.jpg\n2,Boot,missing.jpg\n"
        '3,Hat,"a.jpg,b.jpg"\n4,Cap,a.jpg|b.jpg\n5,Pot,\n6,,gone.jpg\n7,,http://example.com/c.jpg\n',
    )
    rows, bad, findings = read(path)
    assert [len(row.photos) for row in rows] == [1, 1, 2, 2, 0]
    assert product_of(rows[0]).image_uri == "http://example.com/a.jpg"
    assert product_of(rows[1]).image == b"" and product_of(rows[1]).image_uri == "missing.jpg"
    assert [row.main_photo is not None for row in rows] == [False, False, True, True, False]
    assert [row.row_number for row in bad] == [6, 7] and "--fetch-images" in bad[1].reason
    assert findings[0].startswith("2 photos could not be read; the first: there is no photo")
    assert findings[1].startswith(
        "2 photo URLs kept, not fetched, such as http://example.com/a.jpg"
    )


def test_bytes_are_decoded_and_photo_bytes_are_photos(tmp_path: Path) -> None:
    other = {"bytes": b"\x89PNG\r\n\x1a\nphoto", "path": "b.png"}
    table = pa.table(
        {
            "product_id": pa.array([b"abc", b"def", b"ghi"], pa.binary()),
            "title": pa.array(["a", None, None]),
            "image": pa.array([None, {"bytes": JPEG, "path": "a.jpg"}, other]),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    rows, bad, _ = read(tmp_path / "t.parquet")
    assert [row.product_id for row in rows] == ["abc", "def", "ghi"] and not bad
    assert [product_of(row).image for row in rows] == [b"", JPEG, other["bytes"]]
    pq.write_table(pa.table({"id": ["1"], "images": [JPEG]}), tmp_path / "t.parquet")
    (row,), _, _ = read(tmp_path / "t.parquet")
    assert row.photos == (Photo(data=JPEG),)


def test_of_very_many_photos_the_first_are_looked_at_and_the_rest_counted(tmp_path: Path) -> None:
    names = ";".join(f"{number}.jpg" for number in range(1000))
    (row,), _, findings = read(write(tmp_path, f"id,title,images\n1,Tea,{names}\n"))
    assert len(row.photos) == 100
    assert findings == [
        f"1,000 photos could not be read; the first: there is no photo {tmp_path}/0.jpg"
    ]


@pytest.mark.parametrize(
    ("product", "description", "attribute_count"),
    [
        ({"description": f'Boils <img src="data:image/png;base64,{"A" * 99_999}">fast'}, 22, 0),
        ({"description": "wörd " * 20_000}, 28_672, 0),
        ({"attributes": {f"size {number}": "large" for number in range(400)}}, 0, 256),
        ({"attributes": {"size": "l" * 9_999, "fit": "s" * 9_999}, "description": "d"}, 1, 2),
        ({"attributes": dict.fromkeys("abcdefgh", "l" * 9_999), "description": "d"}, 1, 1),
        ({"title": "word " * 20_000}, 0, 0),
    ],
)
def test_of_more_text_than_the_service_takes_as_much_as_it_takes_is_left(
    tmp_path: Path, product: dict[str, object], description: int, attribute_count: int
) -> None:
    lines = json.dumps({"id": "1", "title": "Kettle", **product})
    (row,), bad, findings = read(write(tmp_path, lines, "t.jsonl"))
    texts = (row.title, row.description, *row.attributes, *row.attributes.values())
    assert sum(len(text.encode()) for text in texts) < 65_000
    assert len(row.description.encode()) in (description, description - 1)
    assert len(row.attributes) == attribute_count
    assert not bad
    cut = "1 row with more text or attributes than the service takes, such as 1: cut"
    assert findings == ([] if len(row.attributes) == 2 else [cut])


def test_columns_that_nobody_uses_may_be_twice_empty_or_missing_in_a_row(tmp_path: Path) -> None:
    (row,), bad, _ = read(write(tmp_path, "product_id,title,,\n1,Shoe,,\n"))
    assert (row.product_id, row.title, bad) == ("1", "Shoe", [])
    rows, bad, _ = read(write(tmp_path, "product_id,title,brand\n1,Shoe\n2,Boot,Acme\n"))
    assert [row.brand for row in rows] == ["", "Acme"] and not bad
    rows, bad, _ = read(write(tmp_path, "product_id,title,x,x\n1,Shoe,a,b\n"))
    assert rows[0].title == "Shoe"


def test_rows_that_only_add_photos_join_the_product_before_them(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        write(tmp_path, JPEG, name)
    path = write(
        tmp_path,
        "Handle,Title,Vendor,Variant Price,Image Src\n"
        "shoe,Shoe,Acme,5.00,a.jpg\nshoe,,,6.00,b.jpg\nshoe,,,7.00,\nhat,Hat,Acme,1.00,\n",
    )
    rows, bad, findings = read(path)
    assert [(row.product_id, len(row.photos)) for row in rows] == [("shoe", 2), ("hat", 0)]
    assert not bad and findings[0].startswith("2 rows joined to the row before")


def test_rows_without_identifier_or_name_go_on_with_the_product_before(tmp_path: Path) -> None:
    header = "sku,_store,_attribute_set,_category,name,price,_media_image\n"
    shirt = "M1,,Default,Men,Linen shirt,59,http://s/1.jpg\n,,,Sale,,,http://s/2.jpg\n"
    coat = ",de,,,Leinenhemd,,\nM2,,Default,Men,Wool coat,199,\n"
    (first, second), bad, found = read(write(tmp_path, header + shirt + coat))
    assert (first.title, first.category, len(first.photos)) == ("Linen shirt", "Men", 2) and not bad
    assert second.product_id == "M2"
    assert "2 rows joined to the row before, of the same product, such as row 2" in found
    # One with a name, or behind a product without one, is a product of its own.
    rows, _, _ = read(
        write(tmp_path, "sku,title,category\na1,Mug,Cups\n,Pan,Pans\na3,,Lids\n,,Pots\n")
    )
    assert [row.product_id for row in rows] == ["a1", "2", "a3", "4"]


@pytest.mark.parametrize("name", ["Handle", "product_internal_id"])
def test_variants_with_codes_of_their_own_join_the_product_whose_number_they_share(
    tmp_path: Path, name: str
) -> None:
    lines = f"SKU,{name},Name,Photo\n10,m7,Mug,\n11,m7,,\n12,p7,Pan,\n"
    rows, bad, _ = read(write(tmp_path, lines))
    assert not bad and [(row.product_id, row.title) for row in rows] == [
        ("m7", "Mug"),
        ("p7", "Pan"),
    ]
    rows, _, _ = read(write(tmp_path, lines.replace("11,m7,,", "11,m8,,")))
    assert [row.product_id for row in rows] == ["10", "12"]


def test_null_and_its_friends_are_no_texts(tmp_path: Path) -> None:
    rows, bad, _ = read(write(tmp_path, "id,title,brand\n1,Shoe,NULL\n2,Boot,n/a\n3,nan,None\n"))
    assert [row.brand for row in rows] == ["", ""]
    assert bad[0].row_number == 3 and "nothing to embed" in bad[0].reason


def test_several_files_are_read_as_one(tmp_path: Path) -> None:
    first = write(tmp_path, "id,title\n1,Shoe\n2,Boot\n", "a.csv")
    second = write(
        tmp_path, json.dumps([{"sku": 2, "name": "Hat"}, {"sku": 3, "name": "Cap"}]), "b"
    )
    files = ProductFiles([first, second])
    assert files.count_rows() == 4
    assert [str(getattr(row, "title", row)) for row in files.rows()] == [
        "Shoe",
        "Boot",
        "b, row 1: product_id '2' stands in row 2 of a.csv too",
        "Cap",
    ]
    untitled = [write(tmp_path, "title\nShoe\n", name) for name in ("c.csv", "d.csv")]
    rows = list(ProductFiles(untitled).rows())
    assert [getattr(row, "product_id", None) for row in rows] == ["c-1", "d-1"]
    alike = [write(tmp_path, "title\nShoe\n", name) for name in ("e/t.csv", "f/t.csv")]
    rows = list(ProductFiles(alike).rows())
    assert [getattr(row, "product_id", None) for row in rows] == ["1-t-1", "2-t-1"]


def test_a_file_without_a_header_is_read_by_number(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"7;Shoe;5\n8;Boot;6\n"), "t.csv.gz")
    options = ReadOptions(
        columns=read_column_mapping("product_id=1,title=2"), form=TableForm(has_header=False)
    )
    rows, _, _ = read(path, options)
    assert [(row.product_id, row.title) for row in rows] == [("7", "Shoe"), ("8", "Boot")]
    with pytest.raises(ProductFileError, match="--no-header --columns"):
        read(path, ReadOptions(form=TableForm(has_header=False)))


def test_a_field_can_be_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "id,title,price\n1,Shoe,many\n")
    (row,), _, findings = read(path, ReadOptions(columns=read_column_mapping("price=")))
    assert row.price is None and not findings


def test_photos_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    secret = write(tmp_path, JPEG, "secret.jpg")
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "link.jpg").symlink_to(secret)
    os.mkfifo(folder / "pipe.jpg")
    path = write(
        folder, f"id,title,image\n1,a,../secret.jpg\n2,b,{secret}\n3,c,link.jpg\n4,d,pipe.jpg\n"
        "5,e,/dev/zero\n"
    )  # fmt: skip
    rows, _, (finding,) = read(path)
    assert all(row.main_photo is None for row in rows)
    assert finding.startswith("5 photos") and "outside the table's folder" in finding
    rows, _, _ = read(path, ReadOptions(image_root=tmp_path))
    assert [row.main_photo is not None for row in rows] == [True, True, True, False, False]


def test_what_is_no_file_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there is no file"):
        ProductFiles([tmp_path / "no.csv"])
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ProductFileError, match="no regular file"):
        ProductFiles([tmp_path / "pipe.csv"])
    for content in ("", "sep=;\n", "sep=;\n\n"):
        with pytest.raises(ProductFileError, match="is empty"):
            ProductFiles([write(tmp_path, content)])
    with pytest.raises(ProductFileError, match="not a readable Parquet file"):
        ProductFiles([write(tmp_path, "no parquet", "t.parquet")])
    for start, what in ((b"%PDF-1.4", "PDF"), (b"\xff\xd8\xff", "photo"), (b"<html>", "web page")):
        with pytest.raises(ProductFileError, match=f"is a {what}"):
            ProductFiles([write(tmp_path, start)])
    with pytest.raises(ProductFileError, match="one file or more"):
        ProductFiles([])


def test_an_error_of_a_table_program_is_no_value_and_its_mark_of_text_no_character(
    tmp_path: Path,
) -> None:
    rows, bad, _ = read(write(tmp_path, "ean,title,brand\n'0123,Shoe,#REF!\n'0124,#NAME?,\n"))
    assert [(row.product_id, row.title, row.brand) for row in rows] == [("0123", "Shoe", "")]
    assert len(bad) == 1


def test_a_column_of_another_meaning_is_no_price(tmp_path: Path) -> None:
    table = "id,title,prices.isSale,prices.amountMin\n1,Tea,FALSE,9.5\n2,Mug,TRUE,3\n"
    rows, _, findings = read(write(tmp_path, table))
    assert [row.price for row in rows] == [9.5, 3.0] and not findings
    table = "id,title,graphical_appearance_name\n1,Tea,Solid\n2,Mug,Dots\n"
    rows, _, findings = read(write(tmp_path, table))
    assert [row.price for row in rows] == [None, None] and not findings
    table = "id,title,Std. VK Netto,Std. VK Brutto\n1,Tea,1,1.19\n"
    rows, _, _ = read(write(tmp_path, table))
    assert rows[0].price == 1.19


def test_a_cell_of_an_error_is_counted(tmp_path: Path) -> None:
    rows, _, findings = read(write(tmp_path, "id,title,brand\n1,#REF!,Stabilo\n2,Pen,#N/A\n"))
    assert [row.title for row in rows] == ["", "Pen"]
    assert findings == [
        "1 product without a title: row 1",
        "2 cells with an error of a table program, such as '#REF!': left empty",
    ]


def test_a_category_may_be_a_list(tmp_path: Path) -> None:
    table = 'id,title,category\n1,Shorts,"[""Clothing >> Shorts""]"\n'
    (row,), _, _ = read(write(tmp_path, table))
    assert row.category == "Clothing >> Shorts"


def test_one_photo_in_two_columns_is_one(tmp_path: Path) -> None:
    path = write(tmp_path, "sku,title,base_image,small_image\n1,Tea,a.jpg,a.jpg\n")
    (row,), _, findings = read(path)
    assert [photo.name for photo in row.photos] == ["a.jpg"]
    assert findings == [f"1 photo could not be read: there is no photo {tmp_path}/a.jpg"]


@pytest.mark.parametrize("title", ["<p>&nbsp;</p>", "<br/>", "!!! ---", "\U0001f525", "&#160;"])
def test_a_text_without_a_letter_is_none(tmp_path: Path, title: str) -> None:
    rows, bad, _ = read(write(tmp_path, f"id,title\n1,{title}\n2,<b>Tea</b>\n3,7\n"))
    assert [row.product_id for row in rows] == ["2", "3"]
    assert [row.reason for row in bad] == [
        "nothing to embed: no text, and no photo that can be read"
    ]


def test_names_are_freed_of_what_web_pages_write_around_them(tmp_path: Path) -> None:
    table = 'id,title\n1,Red &amp; <b>blue</b> mug\n2,"{""en"": ""Pan"", ""de"": ""Pfanne""}"\n'
    rows, _, _ = read(write(tmp_path, table))
    assert [row.title for row in rows] == ["Red & blue mug", "Pan"]
    answer = '[{"id": 1, "title": {"rendered": "Tea &#8211; green"}, "categories": ["A &amp; B"]}]'
    (row,), _, _ = read(write(tmp_path, answer, "answer.json"))
    assert (row.title, row.category) == ("Tea – green", "A & B")
