"""Tables are told by their bytes, compressed or in an archive, and what is none is named."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
from pathlib import Path

import pyarrow as pa
import pytest

from tests.client.files.tables import read, write, zipped
from twinshelf.client.files.forms import stored_bytes
from twinshelf.client.files.forms.stored_bytes import store_standard_input
from twinshelf.client.files.forms.table import open_table
from twinshelf.client.files.rows import ProductFileError


def test_a_table_under_another_suffix_is_read(tmp_path: Path) -> None:
    rows, _, _ = read(write(tmp_path, "id,title\n1,Shoe\n", "t.xlsx"))
    assert [row.title for row in rows] == ["Shoe"]
    rows, _, _ = read(write(tmp_path, '[{"id": "1", "title": "Shoe"}]', "t.csv"))
    assert len(rows) == 1
    with pytest.raises(ProductFileError, match="is empty"):
        read(write(tmp_path, "", "t.xlsx"))


def test_an_archive_of_another_version_is_said_to_be_unreadable(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.csv": "id,title\n1,Shoe\n"}))
    content[content.rindex(b"PK\x01\x02") + 6] = 200  # the version that is needed to unpack it
    with pytest.raises(ProductFileError, match="is not a readable .*: zip file version"):
        read(write(tmp_path, bytes(content), "t.zip"))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.csv": "x\n1\n", "b.csv": "y\n2\n"}, "ZIP archive of several tables or photos"),
        ({"a.csv": "id,title\n1,Shoe\n", "b.csv": "sku,name\n"}, "ZIP archive of several tables"),
        ({"a.csv": "id,title\n1,Shoe\n", "1.jpg": ""}, "ZIP archive of several tables or photos"),
        ({"1.jpg": "", "a.xlsx": ""}, "ZIP archive of several tables or photos; unpack it"),
        ({"a.xlsx": "", "b.xlsx": ""}, "ZIP archive of several tables or photos; unpack it"),
        ({"1.jpg": "", "a.psd": ""}, "ZIP archive of no table; unpack it"),
        ({"[Content_Types].xml": "", "word/document.xml": ""}, "no workbook|needs the package"),
        ({"mimetype": "application/x"}, "OpenDocument table; save it|needs the package"),
        ({"Index/Document.iwa": "x"}, "no workbook|needs the package"),
    ],
)
def test_an_archive_of_no_single_table_is_said_to_be_one(
    tmp_path: Path, members: dict[str, str], message: str
) -> None:
    with pytest.raises(ProductFileError, match=message):
        open_table(write(tmp_path, zipped(members), "t.zip"))


@pytest.mark.parametrize(
    ("members", "read_names", "other"),
    [
        (  # the table that names most fields
            {
                "categories.csv": "category_id,name\n1,Cups\n",
                "orders.csv": "order_id,product_id,price\n1,S-1,5\n",
                "products.csv": "product_id,name,brand,price\nS-1,Mug,Acme,5\nS-2,Pan,Bolt,6\n",
            },
            "products.csv",
            "2 tables not read, as of another header; the first: categories.csv",
        ),
        (  # parts of one table, one without an end of its last line
            {
                "part-1.csv": "\ufeffsku,title\nS-1,Mug",
                "part-2.csv": "\ufeffsku,title\nS-2,Pan\n",
                "brands.csv": "brand\nAcme\n",
            },
            "part-1.csv and part-2.csv",
            "1 table not read, as of another header: brands.csv",
        ),
        (
            {
                "1.json": '{"products": [{"sku": "S-1", "title": "Mug"}]}',
                "2.json": '{"products": [{"sku": "S-2", "title": "Pan"}]}',
                "shops.json": '[{"shop": "Acme", "city": "Bonn"}]',
            },
            "1.json and 2.json",
            "1 table not read, as of another header: shops.json",
        ),
        (
            {
                "o.xml": "<o><item><id>S-1</id><name>Mug</name></item>"
                "<item><id>S-2</id><name>Pan</name></item></o>",
                "s.xml": "<s><stock><ref>1</ref></stock></s>",
            },
            "o.xml",
            "1 table not read, as of another header: s.xml",
        ),
    ],
)
def test_of_several_tables_in_an_archive_that_of_products_is_read(
    tmp_path: Path, members: dict[str, str], read_names: str, other: str
) -> None:
    path = write(tmp_path, zipped(members), "t.zip")
    assert open_table(path).form.startswith(f"{read_names} of the archive: ")
    rows, bad, said = read(path)
    assert not bad and [(row.product_id, row.title) for row in rows] == [
        ("S-1", "Mug"),
        ("S-2", "Pan"),
    ]
    assert other in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x04\x95\x10\x00\x00\x00}\x94.", "is no text"),
        (b"t.csv".ljust(257, b"\0") + b"ustar", "tar archive; unpack it"),
        (b"products:\n  - id: 1\n    title: Mug\n", "YAML"),
        (b"SKU: A1\nName: Mug\n\nSKU: A2\nName: Pan\n", "a list of records line by line"),
        (b"{\\rtf1\\ansi sku, title\\par }", "text document"),
        (b"RIFF\0\0\0\0WEBP", "a photo; give its folder"),
        (b"Obj\x01\x04\x14", "Avro file"),
        (b"\xff\xff\xff\xff\xd8\0\0\0\x10\0\0\0", "Arrow stream"),
        (b"*********** 1. row ***********\n  sku: A1\n name: Mug\n", "records line by line"),
        (bz2.compress(b""), "is empty"),
        (lzma.compress(b""), "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 5\n", "git lfs pull"),
        (b"id\x1ftitle\x1e1\x1fMug\x1e2\x1fPan", "rows end with the sign 1E"),
        (b"[S1]\ntitle=Mug\n\n[S2]\ntitle=Pan\n", "file of settings"),
        (b'var products = [{"id": 1}];', "JavaScript"),
        (b"// Goods\nexport const GOODS: Good[] = [\n{ title: 'Mug' },\n];", "JavaScript"),
        (b'module.exports = [{"id": 1}]', "JavaScript"),
        (b'callback({"products": []});', "JavaScript"),
        (b"\x03\x7c\x03\x0c\x02\0\0\0\x61\0\x1f\0NAME", "dBase table"),
        (b'ID;PWXL;N;E\nP;PGeneral\nC;Y1;X1;K"sku"\nE\n', "SYLK table"),
        (b"MIME-Version: 1.0\nContent-Type: text/html\n\n<html>", "web archive"),
        (b"BEGIN:VCARD\nFN:Mug\nEND:VCARD\n", "list of cards"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ProductFileError, match=message):
        open_table(write(tmp_path, content, "t.txt"))


def test_bytes_that_are_no_text_have_no_signs_between_rows(tmp_path: Path) -> None:
    path = write(tmp_path, b"PAR1\x15\x00\x1f\x15\x1e\x15\x1f", "t.parquet")
    assert stored_bytes.kind_of(path) == "parquet"


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.zst", "t.csv.bz2", "t.csv.xz", "t.zip"])
def test_compressed_bytes_that_break_off_are_said_to(tmp_path: Path, name: str) -> None:
    noise = "\n".join(f"{n},{n * 7919 % 104729}" for n in range(50_000)).encode()
    packed = zipped({"t.csv": noise.decode()})  # it ends with what it holds
    data = {
        ".gz": gzip.compress(noise),
        ".zst": bytes(pa.Codec("zstd").compress(noise, asbytes=True)),
        ".bz2": bz2.compress(noise),
        ".xz": lzma.compress(noise),
        ".zip": 2 * (packed[:200] + bytes(50) + packed[250:]),
    }[Path(name).suffix]
    with pytest.raises(ProductFileError, match="breaks off"):
        read(write(tmp_path, data[: len(data) // 2], name))


def test_standard_input_is_a_table(tmp_path: Path) -> None:
    rows, _, _ = read(store_standard_input(io.BytesIO(b"id;title\n1;Shoe\n")))
    assert (rows[0].title, rows[0].source) == ("Shoe", "standard input")


def test_no_regular_expression_has_a_possessive_group() -> None:
    # Python 3.11.0 to 3.11.4 match them wrongly (cpython issue 106052); Debian 12 has 3.11.2.
    possessive = re.compile(r"\)(?:[*+?]|\{[\d,]+\})\+|\(\?>")
    client = Path(stored_bytes.__file__).parents[2]
    found = [path for path in client.rglob("*.py") if possessive.search(path.read_text("utf-8"))]
    assert found == []
