"""`--check` finds the form of a file and proposes which column holds which field."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.client.files.tables import JPEG, read, write
from twinshelf.client.files.file_check import check_files, propose
from twinshelf.client.files.names.columns import format_column_mapping, read_column_mapping
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.client.files.rows import ProductFileError

OFFERS = (
    ("Nikon Coolpix 12MP digital camera", "Nikon", "129.99"),
    ("Sony Bravia 40 inch LCD TV", "Sony", "899.00"),
    ("Bose QuietComfort headphones", "Bose", "299.50"),
)


def lines(form: str, header: str = "") -> str:
    """Writes an offer a line: {n} its number, {t} title, {b} brand, {p} price, {c} with a comma."""
    rows = [
        form.format(n=n, t=title, b=brand, p=price, c=price.replace(".", ","))
        for n, (title, brand, price) in enumerate(OFFERS)
    ]
    return "\n".join([header, *rows] if header else rows) + "\n"


SHAPES: dict[str, tuple[str | bytes, str]] = {
    "abt.csv": (
        lines("b00{n},{t},about the {t},{b},${p}", "id,name,description,manufacturer,price"),
        "product_id=id,title=name,description=description,brand=manufacturer,price=price",
    ),
    "headless.tsv": (lines("900{n}\t{t}\t{b}\t{p}"), "product_id=1,title=2,price=4"),
    "headless.txt": (lines("SKU-{n};{t};{b}"), "product_id=1,title=2"),
    "headless.csv": (
        lines("https://x.com/{n}.jpg|{b}|{t}|{p}|SKU-{n}"),
        "product_id=5,title=3,price=4,images=1",
    ),
    "merchant.txt": (
        lines(
            "S{n}\t{t}\tIt is {t}\thttps://s.co/{n}\thttps://s.co/{n}.jpg\t\t{p} USD\t{b}\tG{n}",
            "id\ttitle\tdescription\tlink\timage_link\tadditional_image_link\tprice\tbrand\t"
            "item_group_id",
        ),
        "product_id=id,title=title,description=description,brand=brand,price=price,"
        "images=image_link,images=additional_image_link,group=item_group_id",
    ),
    "flipkart.csv": (
        lines(
            'u{n},http://f.com/{n},{t},"[""A >> B""]",P{n},999,{p},"[""http://i.com/{n}.jpeg""]",{b}',
            "uniq_id,product_url,product_name,product_category_tree,pid,retail_price,"
            "discounted_price,image,brand",
        ),
        "product_id=uniq_id,title=product_name,category=product_category_tree,brand=brand,"
        "price=discounted_price,price=retail_price,images=image",
    ),
    "wdc.jsonl": (
        lines('{{"id": {n}, "cluster_id": 1, "title": "{t}", "brand": "{b}", "price": null}}'),
        "product_id=id,title=title,brand=brand,price=price,group=cluster_id",
    ),
    "german.csv": (
        lines(
            'A{n};Größe {t};"Schön, für {b}";{b};{c} €;Küche;https://x.de/{n}.jpg',
            "Artikelnummer;Bezeichnung;Beschreibung;Marke;Preis;Warengruppe;Bild",
        ).encode("cp1252"),
        "product_id=Artikelnummer,title=Bezeichnung,description=Beschreibung,category=Warengruppe,"
        "brand=Marke,price=Preis,images=Bild",
    ),
    "russian.csv": (
        lines(
            "A{n};Чай {t};{c};http://x.ru/{n}.jpg;http://x.ru/{n}b.jpg",
            "Артикул;Название товара;Цена, руб.;Фото 1;Фото 2",
        ).encode("cp1251"),
        "product_id=Артикул,title=Название товара,price=Цена, руб.,images=Фото 1,images=Фото 2",
    ),
    "pages_before_photos.csv": (
        lines("A{n}|{t}|https://x.de/{n}|https://x.de/{n}.jpg|{p}"),
        "product_id=1,title=2,price=5,images=4",
    ),
    "price_first.csv": (lines("{p};A{n};{t};{b}"), "product_id=2,title=3,price=1"),
    "french.txt": (
        lines("R{n}\tÉcran {t}\t{c}", "Référence\tDésignation\tPrix TTC").encode("utf-16"),
        "product_id=Référence,title=Désignation,price=Prix TTC",
    ),
    "unnamed.csv": (
        lines("X{n}1,{t},${p},photos/{n}.png", "col_a,col_b,col_c,col_d"),
        "product_id=col_a,title=col_b,price=col_c,images=col_d",
    ),
    "numbered.csv": (
        lines("A{n};{t};{b};{p};{p}", "Kod;Mal;Firma;Satış Fiyatı 1;Alış Fiyatı 2"),
        "product_id=Kod,title=Mal,price=Satış Fiyatı 1",
    ),
    "begun.csv": (
        lines("https://x.de/{n}|{t}|{t} by {b}, in its own box|{p}"),
        "title=2,description=3,price=4,images=1",
    ),
    "quantities.csv": (
        lines("{t},1{n},A{n},{p}", "Stock Thing,Closing Qty,Code X,Worth"),
        "product_id=Code X,title=Stock Thing,price=Worth",
    ),
    "vowels.csv": (
        lines("A{n},స్టీల్ పాన్ కోసం {n},{p}", "x,y,z"),
        "product_id=x,title=y,price=z",
    ),
    "shopify.json": (
        json.dumps({"products": [
            {"id": n, "title": title, "body_html": "<p>x</p>", "vendor": brand,
             "product_type": "TV", "images": [{"src": f"https://c.com/{n}.jpg"}]}
            for n, (title, brand, _) in enumerate(OFFERS)
        ]}),
        "product_id=id,title=title,description=body_html,category=product_type,brand=vendor,"
        "images=images",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_the_right_columns_are_proposed(tmp_path: Path, name: str) -> None:
    content, mapping = SHAPES[name]
    path = write(tmp_path, content, name)
    proposal = propose(path, ReadOptions())
    assert format_column_mapping(proposal.columns) == mapping
    check = check_files([path], ReadOptions())
    assert (check.text_count, check.bad_count) == (len(OFFERS), 0)


def test_a_column_of_titles_without_any_gives_way_to_what_looks_like_them(tmp_path: Path) -> None:
    rows = "1,Shop,Red garden hose 20 m,\n2,Shop,A steel garden rake,\n"
    path = write(tmp_path, f"id,Meta title,Ware,Short text\n{rows}")
    with pytest.raises(ProductFileError, match="names no title, but 'Ware' looks like one"):
        read(path)
    proposal = propose(path, ReadOptions())
    assert proposal.columns["title"] == ("Ware",) and proposal.is_guessed
    (bad,) = read(write(tmp_path, "id,title\n1,\n"))[1]
    assert bad.reason.startswith("nothing to embed")


def test_photos_in_parquet_are_found_by_their_content(tmp_path: Path) -> None:
    photos = [{"bytes": JPEG, "path": f"{n}.jpg"} for n in range(3)]
    table = pa.table({"x": photos, "y": [title for title, _, _ in OFFERS], "z": ["a1", "b2", "c3"]})
    pq.write_table(table, tmp_path / "t.parquet")
    check = check_files([tmp_path / "t.parquet"], ReadOptions())
    assert check.proposals[0].options == "--columns 'product_id=z,title=y,images=x'"
    assert check.both_count == 3


def test_what_was_asked_for_is_kept_and_no_guess_hides_what_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path, SHAPES["unnamed.csv"][0])
    options = ReadOptions(columns=read_column_mapping("title=col_b,price="))
    assert format_column_mapping(propose(path, options).columns) == "title=col_b,images=col_d"
    with pytest.raises(ProductFileError, match="no column 'nom' for title"):
        propose(path, replace(options, columns=read_column_mapping("title=nom")))
    with pytest.raises(ProductFileError, match="needs a column of titles or images"):
        propose(write(tmp_path, "a,b\n1,2\n"), ReadOptions())


def test_bad_rows_are_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    path = write(tmp_path, "id,title,price\n" + "1,,\n" * 40 + "2,Shoe,NULL\n")
    said = list(check_files([path], ReadOptions()).lines())
    assert "40 rows would fail" in said and "  and 10 more" in said
    assert any(line.startswith("1 product would be stored: ") for line in said)
    assert "1 price could not be read, such as 'NULL': left empty" in said


def test_what_stands_in_two_files_is_checked_as_index_would(tmp_path: Path) -> None:
    goods = "id,title,price\n1,Shoe,5\n2,Hat,6\n"
    paths = [write(tmp_path, goods, name) for name in ("a.csv", "b.csv")]
    check = check_files(paths, ReadOptions())
    assert (check.text_count, check.bad_count) == (2, 2)
    assert "stands in row 1 of a.csv too" in check.bad_rows[0].reason
    unnamed = write(tmp_path, SHAPES["unnamed.csv"][0], "c.csv")
    assert len(check_files([*paths, unnamed], ReadOptions()).proposals) == 3


def test_the_first_products_are_shown_as_they_would_be_stored(tmp_path: Path) -> None:
    rows = 'sku;name;Preis;image\n007;Saw;"1.299,00 €";\n008;Axe;12,50;https://a/1.jpg\n9;;;\n'
    check = check_files([write(tmp_path, rows)], ReadOptions())
    said = list(check.lines())
    assert "  007: Saw, 1299.00" in said and "  008: Axe, 12.50, https://a/1.jpg" in said
    assert len(check.first_products) == 2


def test_what_is_proposed_is_refused_without_it_and_else_stored_alike(tmp_path: Path) -> None:
    unnamed = write(tmp_path, SHAPES["unnamed.csv"][0], "unnamed.csv")
    with pytest.raises(ProductFileError, match="needs a column of titles or images"):
        ProductFiles([unnamed])
    said = "\n".join(check_files([unnamed], ReadOptions()).lines())
    assert "3 products would be stored with these options, none without them" in said
    long = "It keeps tea warm for very many hours and may be washed in any machine that you like. "
    for content in (
        "material,description,price\n000123,Kettle,5\n000124,Blue mug,6\n",
        f"sku,description,brand\na1,{long}1,Acme\na2,{long}2,Acme\n",
    ):
        path = write(tmp_path, content, "named.csv")
        first = check_files([path], ReadOptions()).first_products[0]
        row = next(ProductFiles([path]).rows())
        assert isinstance(row, ProductRow)
        assert (first.product_id, first.title) == (row.product_id, row.title)
        assert not propose(path, ReadOptions()).options


def test_a_column_of_something_else_is_proposed_for_no_title(tmp_path: Path) -> None:
    rows = "a1,health_beauty,40,287\nb2,home decor,44,276\nc3,sports leisure,46,250\n"
    path = write(tmp_path, f"x,product_category_name,name_lenght,photos_qty\n{rows}")
    with pytest.raises(ProductFileError, match="needs a column of titles or images"):
        check_files([path], ReadOptions())


def test_a_column_without_a_name_is_called_by_its_number(tmp_path: Path) -> None:
    path = write(tmp_path, "id,,title\n1,x,Tea\n")
    assert "  not read: column 2" in check_files([path], ReadOptions()).lines()
    path = write(tmp_path, '[{"": 0, "id": 1, "title": "Tea"}]', "t.json")
    assert "  not read: one without a name" in check_files([path], ReadOptions()).lines()


def test_a_name_over_two_lines_is_shown_on_one(tmp_path: Path) -> None:
    path = write(tmp_path, 'id,title,"Main\nimage","Shelf\nlife"\n1,Tea,a.jpg,3\n')
    said = [*check_files([path], ReadOptions()).lines()]
    assert "  images from Main image" in said and "  not read: Shelf life" in said
