"""Tables of every kind hold the same rows."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import sys
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.client.files.tables import read, write, zipped
from twinshelf.client.files.forms.table import open_table
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import ProductFiles
from twinshelf.client.files.rows import CellRow, ProductFileError

RECORDS = [{"id": "1", "title": "Shoe, red"}, {"id": "2", "title": "чай"}]
LINES = "\n".join(json.dumps(record) for record in RECORDS)
CSV = "id\ttitle\n1\tShoe, red\n2\tчай"


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("t.csv", b'id,title\n1,"Shoe, red"\n2,\xd1\x87\xd0\xb0\xd0\xb9', "text, utf-8"),
        ("t.json", json.dumps(RECORDS).encode(), "JSON, utf-8"),
        ("t.json", json.dumps(RECORDS, indent=2, ensure_ascii=False).encode(), "JSON, utf-8"),
        ("t.json", json.dumps({"products": RECORDS}).encode(), "JSON, utf-8"),
        ("t.json", json.dumps({"count": 2, "at": None, "items": RECORDS}).encode(), "JSON, utf-8"),
        ("t.json", LINES.encode(), "JSON lines"),
        ("t.json", LINES.replace("\n", "").encode(), "JSON lines"),
        ("no-suffix", LINES.encode(), "JSON lines"),
        ("t.jsonl", LINES.encode("utf-16"), "JSON lines, utf-16"),
        ("t.jsonl.gz", gzip.compress(LINES.encode(), mtime=0), "JSON lines"),
        ("t.csv.zst", zstd(CSV.encode()), "text, utf-8"),
        ("t.csv.bz2", bz2.compress(CSV.encode()), "text, utf-8"),
        ("t.jsonl.xz", lzma.compress(LINES.encode()), "JSON lines"),
        ("no-suffix", bz2.compress(CSV.encode()), "text, utf-8"),
        (
            "t.zip",
            zipped({"a/t.jsonl": LINES, "__MACOSX/a/._t.jsonl": "\0", "a/notes.txt": "", "b/": ""}),
            "JSON lines",
        ),
        ("t.zip", zipped({"t.txt": CSV}), "text, utf-8"),
    ],
)
def test_rows_are_the_same_in_every_form(
    tmp_path: Path, name: str, content: bytes, form: str
) -> None:
    path = write(tmp_path, content, name)
    rows, bad, _ = read(path)
    assert [{"id": row.product_id, "title": row.title} for row in rows] == RECORDS and not bad
    assert open_table(path).form.startswith(form) and open_table(path).count_rows() == 2


@pytest.mark.parametrize(
    "content",
    [
        {"id": ["1", "2"], "title": ["Shoe, red", "чай"]},
        {"id": {"0": "1", "1": "2"}, "title": {"0": "Shoe, red", "1": "чай"}},
        {"1": {"title": "Shoe, red"}, "2": {"title": "чай"}},
        {"data": {"products": {"edges": [{"node": record} for record in RECORDS]}}},
        {"meta": {"page": 1}, "tags": ["a"], "response": RECORDS[:0], "data": RECORDS},
        {
            "type": "FeatureCollection",
            "crs": {"properties": {"name": "x"}},
            "features": [{"id": r["id"], "properties": {"title": r["title"]}} for r in RECORDS],
        },
        [{"products": RECORDS}],
        [{"section": "a", "products": RECORDS[:1]}, {"section": "b", "products": RECORDS[1:]}],
        {r["id"]: {"title": r["title"], "reviews": [{"title": "Good"}] * 3} for r in RECORDS},
        {"meta": {"a": {"name": "x"}, "b": {"name": "y"}, "c": {}}, "stuff": RECORDS},
        {"inventory": [None, *RECORDS]},
        {"@odata.context": "x", "value": RECORDS, "tags": [{"name": "new"}]},
        {"shop": {"name": "Acme", "offers": RECORDS, "categories": [{"name": "Tea"}] * 9}},
        {"metadata": {"source": {"name": "x", "tags": ["a"]}}, "products": RECORDS},
        {"responseHeader": {"params": {"q": "*"}}, "response": {"numFound": 2, "docs": RECORDS}},
        {"status": {"code": 200}, "body": {"count": 2, "products": RECORDS}},
        {"_links": {"self": {"href": "/"}}, "_embedded": {"products": RECORDS}},
        {"products": {r["id"]: {"title": r["title"]} for r in RECORDS}},
        {"yml_catalog": {"shop": {"offers": {"offer": RECORDS}}}},
        {"schema": {"fields": [{"name": "title", "type": "string"}] * 3}, "data": RECORDS},
        {"Items": [{"id": {"S": r["id"]}, "title": {"S": r["title"]}} for r in RECORDS]},
        [{"id": r["id"], "title": {"value": r["title"]}} for r in RECORDS],
        [{"title": {"value": r["title"]}, "brand": {"name": "Acme"}} for r in RECORDS],
        {"data": [{"id": r["id"], "attributes": {"title": r["title"]}} for r in RECORDS]},
        {"took": 5, "hits": {"total": {"value": 2}, "hits": [{"_source": r} for r in RECORDS]}},
        [["id", "title"], *([r["id"], r["title"]] for r in RECORDS)],
        {"range": "A1:B3", "values": [["id", "title"], *([r["id"], r["title"]] for r in RECORDS)]},
        {
            "columns": ["id", "title"],
            "index": [0, 1],
            "data": [[r["id"], r["title"]] for r in RECORDS],
        },
        [
            ["Price list"],
            ["id", "Produktbezeichnung", None],
            *([r["id"], r["title"], 3] for r in RECORDS),
            [],
        ],
        {"valueRanges": [{"values": [["id", "title"], *([r["id"], r["title"]] for r in RECORDS)]}]},
        {
            "a": [["id", "title"], [*RECORDS[0].values()]],
            "b": [["id", "title"], [*RECORDS[1].values()]],
        },
        {"chairs": [RECORDS[0]], "tables": [RECORDS[1]], "tags": [{"name": "x"}] * 3},
        {
            "features": [{"feature_idx": 0, "name": "title", "type": {"_type": "Value"}}],
            "rows": [{"row": row} for row in RECORDS],
        },
        {"meta": [{"name": "id"}, {"name": "title"}], "data": [[*r.values()] for r in RECORDS]},
        [
            {"id": r["id"], "version": 3, "main": {"current": {"name": {"en": r["title"]}}}}
            for r in RECORDS
        ],
        [
            {"type": "header", "version": "5.2"},
            {"type": "database", "name": "shop"},
            {"type": "table", "name": "products", "data": RECORDS},
        ],
        {"categories": [{"name": r["id"], "products": [r]} for r in RECORDS]},
        {
            "data": [{"id": r["id"], "attributes": {"title": r["title"]}} for r in RECORDS],
            "included": [{"id": "5", "attributes": {"title": "Acme"}}],
        },
        [
            {"id": r["id"], "translations": [{"name": r["title"], "text": "x"}, {"name": "y"}]}
            for r in RECORDS
        ],
        [
            {"id": r["id"], "facts": {"Title": {"DisplayValue": r["title"], "Label": "T"}}}
            for r in RECORDS
        ],
    ],
)
def test_json_of_other_shapes_is_a_table_as_well(tmp_path: Path, content: object) -> None:
    rows, bad, _ = read(write(tmp_path, json.dumps(content), "t.json"))
    assert [{"id": row.product_id, "title": row.title} for row in rows] == RECORDS and not bad


def test_rows_that_are_lists_are_known_without_a_suffix(tmp_path: Path) -> None:
    rows = [["id", "title"], *([*record.values()] for record in RECORDS)]
    products, bad, _ = read(write(tmp_path, json.dumps(rows), "table"))
    assert [row.title for row in products] == [r["title"] for r in RECORDS] and not bad


def test_rows_may_be_lists_of_a_line_each(tmp_path: Path) -> None:
    rows = [["id", "title"], *([*record.values()] for record in RECORDS)]
    products, bad, _ = read(write(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl"))
    assert [{"id": row.product_id, "title": row.title} for row in products] == RECORDS and not bad


@pytest.mark.parametrize("name", ["title", "model_name", "Produktbezeichnung"])
@pytest.mark.parametrize("count", [1, 2])
def test_pairs_within_a_product_are_no_table(tmp_path: Path, name: str, count: int) -> None:
    products = [
        {"sku": f"X{n}", name: "Shoe", "specs": [["Brand", "Acme"], ["Colour", "Red"]]}
        for n in range(count)
    ]
    rows, bad, _ = read(write(tmp_path, json.dumps(products), "t.json"))
    assert [(row.product_id, row.title) for row in rows] == [
        (f"X{n}", "Shoe") for n in range(count)
    ]
    assert not bad


def test_a_list_within_a_product_is_no_table(tmp_path: Path) -> None:
    lines = '{"images": [{"src": "a.jpg"}], "sku": "1", "name": "Shoe", "offers": [{"price": 5}]}'
    path = write(
        tmp_path, f'{lines}\n{{"sku": "2", "name": "Hat", "offers": [{{"a": 1}}]}}', "t.jsonl"
    )
    rows, bad, _ = read(path)
    assert [(row.product_id, row.title) for row in rows] == [
        ("1", "Shoe"),
        ("2", "Hat"),
    ] and not bad


def test_lines_of_json_may_end_in_commas_and_hold_half_an_emoji(tmp_path: Path) -> None:
    lines = (
        '{"id": 1, "title": "Tea \\ud83d", "offers": {"price": 5}},\n{\'id\': 2, \'title\': "a"},\n'
    )
    rows, bad, _ = read(write(tmp_path, lines, "t.jsonl"))
    assert [row.title for row in rows] == ["Tea \ufffd", "a"] and not bad
    assert [row.price for row in rows] == [5.0, None]


def test_an_object_that_is_broken_costs_itself_alone(tmp_path: Path) -> None:
    rows, (bad,), _ = read(write(tmp_path, '{"id": 1, "title": "a"}\n{"id": 2\n[3]\n'.replace(
        "[3]", '{"id": 3, "title": "c"}'), "t.jsonl"))  # fmt: skip
    assert [row.title for row in rows] == ["a", "c"] and bad.row_number == 2
    rows, bads, _ = read(write(tmp_path, '[{"id": 1, "title": "a"}, 5, {"id": 2', "t.json"))
    assert [row.title for row in rows] == ["a"] and [each.row_number for each in bads] == [2, 3]


@pytest.mark.slow
def test_a_long_list_is_read_in_blocks(tmp_path: Path) -> None:
    records = [{"id": n, "title": f"Shoe {n}", "pad": "x" * 1000} for n in range(3000)]
    rows, bad, _ = read(write(tmp_path, json.dumps(records), "t.json"))
    assert [row.product_id for row in rows] == [str(n) for n in range(3000)] and not bad


def test_a_product_within_a_struct_of_parquet_is_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1, 2], "product": RECORDS}), tmp_path / "t.parquet")
    rows, bad, _ = read(tmp_path / "t.parquet")
    assert [{"id": row.product_id, "title": row.title} for row in rows] == RECORDS and not bad


@pytest.mark.slow
def test_parquet_that_unpacks_to_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    titles = pa.array(["x" * 1_000_000] * 300)
    table = pa.table({"title": titles})
    pq.write_table(table, tmp_path / "t.parquet", use_dictionary=False, compression="zstd")
    with pytest.raises(ProductFileError, match="would unpack to 300,"):
        read(tmp_path / "t.parquet")


@pytest.mark.slow
def test_parquet_that_unpacks_to_a_billion_values_is_refused(tmp_path: Path) -> None:
    images = pa.ListArray.from_arrays([0, 40_000_000], pa.array(np.zeros(40_000_000, np.int8)))
    table = pa.table({"title": ["a"], "images": images})
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd")
    with pytest.raises(ProductFileError, match="would unpack to 320,"):
        read(tmp_path / "t.parquet")


def test_parquet_whose_column_stands_twice_is_refused(tmp_path: Path) -> None:
    columns = [pa.array(["1"]), pa.array(["a"]), pa.array(["b"])]
    pq.write_table(pa.Table.from_arrays(columns, ["id", "title", "title"]), tmp_path / "t.parquet")
    with pytest.raises(ProductFileError, match="more than one column 'title'"):
        read(tmp_path / "t.parquet")


@pytest.mark.slow
def test_a_long_text_that_repeats_is_in_memory_once(tmp_path: Path) -> None:
    table = pa.table({"id": [str(n) for n in range(300)], "title": ["x" * 1_000_000] * 300})
    pq.write_table(table, tmp_path / "t.parquet")
    rows = list(open_table(tmp_path / "t.parquet").rows(["title"]))
    titles = {id(row.cells["title"]) for row in rows if isinstance(row, CellRow)}
    assert len(rows) == 300 and len(titles) == 1


def test_a_workbook_is_read_or_says_what_it_needs(tmp_path: Path) -> None:
    path = write(tmp_path, b"PK\x03\x04", "t.xlsx")
    needs = "needs the package openpyxl" if "openpyxl" not in sys.modules else "not a readable"
    try:
        import openpyxl
    except ImportError:
        with pytest.raises(ProductFileError, match=needs):
            open_table(path)
        return
    with pytest.raises(ProductFileError, match="not a readable Excel workbook"):
        open_table(path)
    book = openpyxl.Workbook()
    book.active.append(["Our price list"])
    sheet = book.create_sheet("Products")
    for line in ([], ["Spring"], ["id", "title", None], [7, "Shoe", None], [], ["8", "Boot"]):
        sheet.append(line)
    sheet["A4"].number_format = "000"
    book.save(path)
    rows, _, _ = read(path)
    assert [(row.product_id, row.title) for row in rows] == [("007", "Shoe"), ("8", "Boot")]
    sheet = book.create_sheet("More")
    for line in ([], ["Autumn"], ["id", "title", None], ["9", "Hat"]):
        sheet.append(line)
    book.create_sheet("Notes").append(["name of the author", "K."])
    book.save(path)
    rows, _, findings = read(path)
    assert [row.title for row in rows] == ["Shoe", "Boot", "Hat"]
    assert open_table(path).form == "Excel, sheet 'Products' and 'More'"
    assert findings == ["2 sheets not read, as hidden or of another header; the first: Sheet"]


def test_the_sheet_of_products_is_read_not_a_hidden_one_nor_lists(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for name, lines in {
        "Old": (["id", "title", "price", "brand"], ["X", "Old shoe", 1, "A"]),
        "Lists": (["Category", "Brand"], ["Shoes", "Acme"]),
        "Products": (["id", "title", "price"], ["1", "Shoe", 5]),
    }.items():
        sheet = book.create_sheet(name)
        for line in lines:
            sheet.append(line)
    book["Old"].sheet_state = "hidden"
    book.save(tmp_path / "t.xlsx")
    rows, _, findings = read(tmp_path / "t.xlsx")
    assert [row.title for row in rows] == ["Shoe"]
    assert findings == ["2 sheets not read, as hidden or of another header; the first: Old"]
    for name in book.sheetnames:
        book[name].sheet_state = "hidden" if name != "Sheet" else "visible"
    book.save(tmp_path / "t.xlsx")
    rows, _, _ = read(tmp_path / "t.xlsx")
    assert [row.title for row in rows] == ["Old shoe"]


def test_formulas_without_values_are_said(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    workbook = openpyxl.Workbook()
    for row in (["sku", "name", "price"], ["1", "Bolt", "=ROUND(3,2)"], ["2", "Nut", "=2*2"]):
        workbook.active.append(row)
    workbook.save(tmp_path / "t.xlsx")
    files = ProductFiles([tmp_path / "t.xlsx"])
    assert [row.product_id for row in files.rows() if isinstance(row, ProductRow)] == ["1", "2"]
    (sentence,) = files.findings.sentences()
    assert sentence.startswith("1 column of formulas without their values: price: open the file")


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,title\n1,Tea\n")
    with pytest.raises(ProductFileError, match="has no photos .* tables in it are given by their"):
        list(ProductFiles([tmp_path]).rows())


ITEMS = [
    {"itemCode": "k:1", "itemName": "Kettle", "itemPrice": 5980},
    {"itemCode": "k:2", "itemName": "Mug", "itemPrice": 400},
]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"content": ITEMS, "totalElements": 2, "page": {"size": 20}}),
        json.dumps({"content": ITEMS}),
        json.dumps({"count": 2, "Items": [{"Item": item} for item in ITEMS]}),
        json.dumps({"hits": {"hits": [{"_index": "p", "_source": item} for item in ITEMS]}}),
        "".join(
            f"{json.dumps({'index': {'_index': 'p', '_id': item['itemCode']}})}\n"
            f"{json.dumps({'name': item['itemName'], 'price': item['itemPrice']})}\n"
            for item in ITEMS
        ),
    ],
)
def test_what_wraps_a_product_is_no_field_of_it(tmp_path: Path, content: str) -> None:
    rows, bad, _ = read(write(tmp_path, content, "t.json"))
    found = [(row.product_id, row.title, row.price, row.seller, row.description) for row in rows]
    assert found == [("k:1", "Kettle", 5980, "", ""), ("k:2", "Mug", 400, "", "")] and not bad


def test_attributes_in_an_object_stay_attributes(tmp_path: Path) -> None:
    record = {"id": 1, "title": "Mug", "properties": {"colour": "blue"}}
    (row,), _, _ = read(write(tmp_path, json.dumps([record]), "t.json"))
    assert dict(row.attributes) == {"colour": "blue"}


def test_a_single_object_over_several_lines_is_json(tmp_path: Path) -> None:
    columns = {"id": {"0": "1", "1": "2"}, "title": {"0": "Tea", "1": "Mug"}}
    path = write(tmp_path, json.dumps(columns, indent=1), "t.json")
    assert open_table(path).form.startswith("JSON, ")
    rows, _, _ = read(path)
    assert [row.title for row in rows] == ["Tea", "Mug"]


def test_a_workbook_whose_dimension_is_wrong_loses_no_row(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["id", "title", "price"], [1, "Tea", 2.5], [2, "Mug", 4]):
        book.active.append(row)
    plain, wrong = tmp_path / "plain.xlsx", tmp_path / "wrong.xlsx"
    book.save(plain)
    with zipfile.ZipFile(plain) as given, zipfile.ZipFile(wrong, "w") as made:
        for name in given.namelist():
            made.writestr(name, given.read(name).replace(b'ref="A1:C3"', b'ref="A1"'))
    rows, bad, _ = read(wrong)
    assert not bad and [(row.title, row.price) for row in rows] == [("Tea", 2.5), ("Mug", 4)]


def test_texts_of_parquet_that_are_no_utf_8_are_read(tmp_path: Path) -> None:
    texts = pa.array(["Cr\u00e8me".encode("cp1252"), b"Mug"]).cast(pa.binary())
    broken = pa.StringArray.from_buffers(2, texts.buffers()[1], texts.buffers()[2])
    pq.write_table(pa.table({"id": ["1", "2"], "title": broken}), tmp_path / "a.parquet")
    rows, bad, _ = read(tmp_path / "a.parquet")
    assert not bad and [row.title for row in rows] == ["Cr\u00e8me", "Mug"]


def test_no_list_of_a_json_file_is_lost(tmp_path: Path) -> None:
    first, second = RECORDS
    contents = {
        "pages.jsonl": "\n".join(json.dumps({"products": [each], "n": 2}) for each in RECORDS),
        "lists.jsonl": "\n".join(json.dumps([each]) for each in RECORDS),
        "two.json": f"{json.dumps([first], indent=1)}\n{json.dumps([second], indent=1)}",
        "kinds.json": json.dumps({"promoted": [first], "regular": [{**second, "price": 3}]}),
        "more.json": json.dumps({"chairs": [first], "tables": [second]}),
    }
    for name, content in contents.items():
        rows, bad, _ = read(write(tmp_path, content, name))
        found = [{"id": row.product_id, "title": row.title} for row in rows]
        assert (found, bad) == (RECORDS, []), name
