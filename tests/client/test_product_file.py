"""Product files: formats, mapping, and every way in which a row can be bad."""

from __future__ import annotations

from pathlib import Path

import pandas
import pyarrow
import pyarrow.parquet
import pytest

from client.product_file import ProductFile, ProductFileError, read_column_mapping
from training.catalogues.table import read_table
from training.product import BadRow

HEADER = "product_id,title,description,category,brand,seller,price,attributes,images,group\n"


def write(folder: Path, text: str, name: str = "products.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_full_row_becomes_a_product(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    path = write(
        tmp_path,
        HEADER
        + 'p1,Чай,"long, text",Food,Leaf,shop,2.50,"{""weight"": ""1 kg""}",a.jpg;b.jpg,g1\n',
    )
    (row,) = ProductFile(path).rows()
    assert row.product is not None
    assert (row.row_number, row.group, row.image_path) == (1, "g1", tmp_path / "a.jpg")
    product = row.product
    assert (product.title, product.description, product.price) == ("Чай", "long, text", 2.5)
    assert (product.image, product.image_uri) == (b"photo", "a.jpg")
    assert product.attributes == {"weight": "1 kg"}


def test_a_byte_order_mark_and_empty_cells_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeffproduct_id,title,price\np1,tea,\n\n")
    (row,) = ProductFile(path).rows()
    assert row.product is not None and row.product.price is None and not row.product.attributes


def test_bad_rows_keep_their_number_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    with (tmp_path / "huge.jpg").open("wb") as huge:
        huge.truncate(33 * 1024 * 1024)
    path = write(
        tmp_path,
        "product_id,title,price,attributes,images\n"
        "p1,tea,1,,\n"
        ",no id,1,,\n"
        "p3,,1,,\n"
        "p4,tea,cheap,,\n"
        "p5,tea,-1,,\n"
        "p6,tea,1,not json,\n"
        "p7,tea,1,,missing.jpg\n"
        "p8,tea,1,,empty.jpg\n"
        "p1,again,1,,\n"
        "p10,short\n"
        'p11,tea,1,,"[broken"\n'
        "p12,tea,1,,huge.jpg\n"
        "p13,tea,1,,\n",
    )
    rows = list(ProductFile(path).rows())
    assert [row.row_number for row in rows] == list(range(1, 14))
    assert [row.row_number for row in rows if row.product] == [1, 13]
    reasons = {row.row_number: row.reason for row in rows if not row.product}
    for number, words in {
        2: "product_id is empty",
        3: "nothing to embed",
        4: "price must be a number",
        5: "price must be a number",
        6: "JSON object",
        7: "there is no photo",
        8: "is empty",
        9: "stands in row 1 too",
        10: "5 cells",
        11: "JSON list",
        12: "larger than 32 MiB",
    }.items():
        assert words in reasons[number]


def test_a_cell_that_is_not_utf8_costs_its_row_only(tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_bytes(b"product_id,title\np1,caf\xe9\np2,tea\n")
    first, second = ProductFile(path).rows()
    assert first.reason == "the row is not UTF-8" and second.product is not None


def test_columns_are_mapped(tmp_path: Path) -> None:
    path = write(tmp_path, "sku\tname\n1\ttea\n", "products.tsv")
    file = ProductFile(path, read_column_mapping("product_id=sku, title=name"))
    (row,) = file.rows()
    assert row.product is not None and (row.product.product_id, row.product.title) == ("1", "tea")
    assert file.count_rows() == 1


def test_parquet_types_are_read_as_texts(tmp_path: Path) -> None:
    path = tmp_path / "products.parquet"
    (tmp_path / "a.png").write_bytes(b"photo")
    table = pyarrow.table(
        {
            "product_id": pyarrow.array([1, 2]),
            "title": ["tea", None],
            "price": [1.5, float("nan")],
            "attributes": pyarrow.array(
                [[("size", "L")], None], pyarrow.map_(pyarrow.string(), pyarrow.string())
            ),
            "images": [None, ["a.png"]],
        }
    )
    pyarrow.parquet.write_table(table, path)
    first, second = ProductFile(path).rows()
    assert first.product is not None and second.product is not None
    assert first.product.product_id == "1" and first.product.attributes == {"size": "L"}
    assert second.product.price is None and second.product.image == b"photo"


def test_a_pandas_parquet_of_our_own_columns_is_read(tmp_path: Path) -> None:
    path = tmp_path / "products.parquet"
    frame = pandas.DataFrame(
        {"product_id": ["p1"], "title": ["tea"], "attributes": ['{"a": 1}'], "images": ["[]"]}
    )
    frame.to_parquet(path)
    (row,) = ProductFile(path).rows()
    assert row.product is not None and row.product.attributes == {"a": "1"}


def test_an_unusable_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ProductFileError, match="must end in"):
        ProductFile(write(tmp_path, "x", "products.xls"))
    with pytest.raises(ProductFileError, match="there is no file"):
        ProductFile(tmp_path / "no.csv")
    with pytest.raises(ProductFileError, match="needs a column product_id.*it has sku, name"):
        ProductFile(write(tmp_path, "sku,name\n"))
    with pytest.raises(ProductFileError, match="has no column 'nom' for title"):
        ProductFile(write(tmp_path, "product_id,title\n"), {"title": "nom"})
    with pytest.raises(ProductFileError, match="cannot be read"):
        ProductFile(write(tmp_path, "not parquet", "products.parquet"))
    with pytest.raises(ProductFileError, match="more than one column 'title'"):
        ProductFile(write(tmp_path, "product_id,title,title\n"))
    with pytest.raises(ProductFileError, match="it has none"):
        ProductFile(write(tmp_path, ""))


@pytest.mark.parametrize("text", ["title", "title=", "=name", "colour=name"])
def test_a_mapping_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="columns must look like|no field"):
        read_column_mapping(text)


def test_the_client_reads_a_table_as_training_does(tmp_path: Path) -> None:
    """Two readers of one format, since the client imports nothing of training."""
    (tmp_path / "a.jpg").write_bytes(b"photo")
    cells = {
        "product_id": ["1", " 2 ", "", "4", "5", "6", "7", "8", "9"],
        "title": [" tea ", "", "x", "<b>mug</b>", "t", "t", "t", "t", "t"],
        "price": ["", "1e2", "1", "x", "-1", "nan", "0", "3", "4"],
        "attributes": [
            '{"a": 1.0, "b": true, "c": null, "d": " x "}',
            "",
            "",
            "",
            "",
            "",
            '{"a": [1]}',
            "[1]",
            "[]",
        ],
        "images": ["a.jpg; a.jpg", '["a.jpg"]', "", "", "", "", "", "", ""],
        "group": ["g", "h", "", "", "", "", "", "", ""],
    }
    frame = pandas.DataFrame(cells)
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        ours = list(ProductFile(tmp_path / name).rows())
        theirs = list(read_table(tmp_path / name))
        assert len(ours) == len(theirs) == 9
        for our, their in zip(ours, theirs, strict=True):
            assert (our.product is None) == isinstance(their, BadRow), (name, our, their)
            if our.product is None or isinstance(their, BadRow):
                continue
            product = our.product
            assert our.image_path == (their.images[0] if their.images else None)
            for field in ("product_id", "title", "price", "brand", "attributes"):
                assert getattr(product, field) == getattr(their, field)
            assert our.group == their.group
