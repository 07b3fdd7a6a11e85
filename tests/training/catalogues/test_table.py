"""The project's own table, and tables of everybody else."""

from __future__ import annotations

import csv
import itertools
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.catalogues.photos import write_photo
from tests.training.catalogues.rows import good_rows
from twinshelf.client.files.product_row import Photo, ProductRow
from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import COLUMNS, make_product, read_table, write_table


def write_csv(path: Path, header: list[str], *rows: list[Any]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def full_product(folder: Path) -> Product:
    return Product(
        product_id="p1",
        title='Tea, "green"; чай',
        description="<p>two\nlines</p>" * 20_000,
        category="Tea",
        brand="NULL",
        seller="Shop",
        price=1.25,
        attributes={"colour": "зелёный", "size": '5" x 3'},
        images=(folder / "a;b.jpg", folder / "sub" / "c.jpg"),
        group="g1",
    )


def test_products_survive_a_round_trip(tmp_path: Path) -> None:
    products = [full_product(tmp_path), Product(product_id="2", title="x", price=0.0)]
    write_table(tmp_path / "new" / "t.parquet", products)
    (tmp_path / "new" / "t.parquet").rename(tmp_path / "t.parquet")
    # Photos lie outside of the folder it was written to, so they are named absolutely.
    assert list(read_table(tmp_path / "t.parquet")) == products


def test_photos_below_the_table_move_with_it(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write_table(old / "t.parquet", [full_product(old)])
    old.rename(new)
    [product] = good_rows(read_table(new / "t.parquet"))
    assert product.images == full_product(new).images


def test_the_written_columns_are_the_documented_ones(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", [full_product(tmp_path)])
    frame = pd.read_parquet(tmp_path / "t.parquet")
    assert tuple(frame.columns) == COLUMNS
    assert json.loads(frame.attributes[0]) == full_product(tmp_path).attributes
    assert json.loads(frame.images[0]) == ["a;b.jpg", "sub/c.jpg"]


def test_a_table_may_be_empty(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", [])
    assert list(read_table(tmp_path / "t.parquet")) == []


def test_a_table_that_breaks_off_is_not_written(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", [Product(product_id="old", title="x")])

    def products() -> Iterator[Product]:
        yield Product(product_id="new", title="x")
        raise RuntimeError("broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        write_table(tmp_path / "t.parquet", products())
    assert [row.product_id for row in good_rows(read_table(tmp_path / "t.parquet"))] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_a_table_of_ours_is_read_by_our_names_beside_a_mapped_one(tmp_path: Path) -> None:
    path = tmp_path / "ours.parquet"
    product = Product(product_id="1", title="red", description="paint")
    write_table(path, [product])
    assert list(read_table(path, {"product_id": ("id",), "title": ("name",)})) == [product]
    (mapped,) = good_rows(read_table(path, {"title": ("description",)}))
    assert mapped.title == "paint"


def test_a_damaged_row_of_ours_is_bad_alone(tmp_path: Path) -> None:
    rows = [dict.fromkeys(COLUMNS, "") | {"product_id": name, "price": 1.0} for name in "ab"]
    rows[0]["images"] = "[1"
    pq.write_table(pa.Table.from_pylist(rows).select(COLUMNS), tmp_path / "t.parquet")
    assert [type(row) for row in read_table(tmp_path / "t.parquet")] == [BadRow, Product]


def test_other_tables_are_read_whatever_their_form(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photo = write_photo(tmp_path / "a.jpg")
    path = write_csv(tmp_path / "t.csv", ["SKU", "Name", "Preis", "Image Src"],
                     ["1", "Tea", "NULL", "a.jpg|b.jpg"])  # fmt: skip
    with caplog.at_level(logging.WARNING):
        assert list(read_table(path)) == [Product(product_id="1", title="Tea", images=(photo,))]
    assert "1 price could not be read" in caplog.text and "1 photo" in caplog.text
    rows = good_rows(
        read_table(path, {"product_id": ("SKU",), "title": ("Preis",), "group": ("Name",)})
    )
    assert rows[0].group == "Tea"


def test_photos_that_stand_in_the_table_become_files(tmp_path: Path) -> None:
    row = ProductRow(
        source="t.parquet",
        row_number=1,
        product_id="1",
        photos=(Photo(data=b"photo"), Photo(name="gone.jpg"), Photo(data=b"photo")),
    )
    first, second = make_product(row, tmp_path).images
    assert first == second and first.read_bytes() == b"photo"
    assert make_product(row).images == ()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        read_table(tmp_path / "nowhere.csv")
    path = write_csv(tmp_path / "t.csv", ["sku", "name"], ["1", "Tea"])
    with pytest.raises(ValueError, match=r"has no column 'ident'.*sku, name"):
        read_table(path, {"product_id": ("ident",)})


def test_rows_are_read_lazily(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", ["product_id", "title"], *([n, "x"] for n in range(10)))
    assert len(list(itertools.islice(read_table(path), 3))) == 3
