"""The project's own table format."""

import csv
import itertools
import json
import math

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.catalogues.table import COLUMNS, parse_column_mapping, read_table, write_table
from training.product import BadRow, Product


def write_csv(path, header, *rows, encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def full_product(folder) -> Product:
    return Product(
        product_id="p1",
        title='Tea, "green"; чай',
        description="<p>two\nlines</p>" * 20_000,
        category="Tea",
        brand="Acme",
        seller="Shop",
        price=1.25,
        attributes={"colour": "зелёный", "size": '5" x 3'},
        images=(folder / "a;b.jpg", folder / "sub" / "c.jpg"),
        group="g1",
    )


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_products_survive_a_round_trip(tmp_path, name):
    products = [full_product(tmp_path), Product(product_id="2", title="x", price=0.0)]
    assert write_table(tmp_path / "new" / name, products) == 2
    (tmp_path / "new" / name).rename(tmp_path / name)
    # Photos lie outside of the folder it was written to, so they are named absolutely.
    assert list(read_table(tmp_path / name)) == products


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_photos_below_the_table_move_with_it(tmp_path, name):
    old, new = tmp_path / "old", tmp_path / "new"
    write_table(old / name, [full_product(old)])
    old.rename(new)
    [product] = read_table(new / name)
    assert product.images == full_product(new).images


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_the_written_columns_are_the_documented_ones(tmp_path, name):
    write_table(tmp_path / name, [full_product(tmp_path)])
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    frame = read(tmp_path / name)
    assert tuple(frame.columns) == COLUMNS
    assert json.loads(frame.attributes[0]) == full_product(tmp_path).attributes
    assert json.loads(frame.images[0]) == ["a;b.jpg", "sub/c.jpg"]


@pytest.mark.parametrize("count", [0, 1023, 1024, 2500])
def test_any_number_of_rows_is_written_and_read(tmp_path, count):
    products = (Product(product_id=str(number), title="x") for number in range(count))
    assert write_table(tmp_path / "t.parquet", products) == count
    rows = list(read_table(tmp_path / "t.parquet"))
    assert [row.product_id for row in rows] == [str(number) for number in range(count)]


def test_a_table_that_cannot_be_written_whole_is_not_written(tmp_path):
    write_table(tmp_path / "t.csv", [Product(product_id="old", title="x")])

    def products():
        yield Product(product_id="new", title="x")
        raise RuntimeError("broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        write_table(tmp_path / "t.csv", products())
    assert [row.product_id for row in read_table(tmp_path / "t.csv")] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_only_an_identifier_and_a_title_are_required(tmp_path):
    path = write_csv(tmp_path / "t.csv", ["title", "product_id"], ["Tea", "1"])
    assert list(read_table(path)) == [Product(product_id="1", title="Tea")]
    path = write_csv(tmp_path / "t.csv", ["images", "product_id"], ["a.jpg; b.jpg;", "1"])
    assert list(read_table(path)) == [
        Product(product_id="1", images=(tmp_path / "a.jpg", tmp_path / "b.jpg"))
    ]


def test_absolute_paths_of_photos_stay(tmp_path):
    path = write_csv(tmp_path / "t.csv", ["product_id", "images"], ["1", "/photos/a.jpg"])
    [product] = read_table(path)
    assert str(product.images[0]) == "/photos/a.jpg"


def test_columns_are_mapped_and_others_left_alone(tmp_path):
    path = write_csv(
        tmp_path / "t.csv", ["sku", "name", "title", "junk"], ["1", "Tea", "not this", "x"]
    )
    rows = list(read_table(path, {"product_id": "sku", "title": "name"}))
    assert rows == [Product(product_id="1", title="Tea")]


def test_one_column_may_serve_twice(tmp_path):
    path = write_csv(tmp_path / "t.csv", ["product_id", "title"], ["1", "Tea"])
    assert next(read_table(path, {"group": "title"})).group == "Tea"


def test_a_byte_order_mark_and_blanks_in_the_header_do_no_harm(tmp_path):
    path = write_csv(
        tmp_path / "t.csv", ["product_id", " title "], ["1", "Tea"], encoding="utf-8-sig"
    )
    assert list(read_table(path)) == [Product(product_id="1", title="Tea")]


def test_a_table_of_ours_is_read_by_our_names_beside_a_mapped_one(tmp_path):
    path = tmp_path / "ours.parquet"
    product = Product(product_id="1", title="red", description="paint")
    write_table(path, [product])
    assert list(read_table(path, {"product_id": "id", "title": "name"})) == [product]
    (mapped,) = read_table(path, {"title": "description"})
    assert mapped.title == "paint"


def test_missing_columns_are_named_with_file_and_what_is_there(tmp_path):
    path = write_csv(tmp_path / "t.csv", ["sku", "name"], ["1", "Tea"])
    with pytest.raises(ValueError, match=r"t\.csv has no column 'product_id'.*sku, name"):
        read_table(path)
    with pytest.raises(ValueError, match=r"t\.csv has no column 'ident'.*sku, name"):
        read_table(path, {"product_id": "ident"})
    with pytest.raises(ValueError, match=r"neither a column 'title' nor 'images'"):
        read_table(path, {"product_id": "sku"})
    with pytest.raises(ValueError, match=r"no column of ours is named 'name'"):
        read_table(path, {"name": "name"})


def test_a_column_named_twice_is_refused(tmp_path):
    path = write_csv(tmp_path / "t.csv", ["product_id", "title", "title"], ["1", "a", "b"])
    with pytest.raises(ValueError, match="more than one column 'title'"):
        read_table(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.parquet", b"product_id,title", "not a readable Parquet file"),
        ("t.parquet", b"", "not a readable Parquet file"),
        ("t.xlsx", b"PK", "must end in .csv or .parquet"),
    ],
)
def test_files_that_are_no_tables_are_refused_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        read_table(tmp_path / name)
    assert name in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(ValueError, match=r"\.txt must end in"):
        write_table(tmp_path / "t.txt", [])


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("product_id", " ", "product_id must not be empty"),
        ("price", "abc", "price must be a number of zero or more, got 'abc'"),
        ("price", "-1", "price must be zero or more"),
        ("price", "nan", "price must be zero or more"),
        ("price", "inf", "price must be zero or more"),
        ("attributes", "colour: red", "attributes must be a JSON object"),
        ("attributes", "[1]", "attributes must be a JSON object"),
        ("attributes", '{"a": {"b": "c"}}', "attribute 'a' must be a string"),
        ("attributes", "{" * 100_000, "attributes must be a JSON object"),
        ("images", "[1, 2]", "images must be a JSON list of paths"),
        ("images", '["a.jpg"', "images must be a JSON list"),
        ("images", "a\x00b.jpg", "images must be paths"),
    ],
)
def test_a_cell_that_cannot_be_read_costs_its_row_alone(tmp_path, column, cell, reason):
    good = {"product_id": "1", "title": "Tea"}
    bad = {"product_id": "2", "title": "Tea"} | {column: cell}
    header = list(dict.fromkeys(["product_id", "title", column]))
    rows = [[row.get(name, "") for name in header] for row in (good, bad, good)]
    read = list(read_table(write_csv(tmp_path / "t.csv", header, *rows)))
    assert [type(row) for row in read] == [Product, BadRow, Product]
    assert (read[1].source, read[1].row_number) == ("t.csv", 2)
    assert reason in read[1].reason


def test_rows_of_the_wrong_length_or_encoding_are_bad_and_blank_lines_nothing(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(
        b"product_id,title\n1,Tea\n\n2\n3,a,b\n4,\xff\xfe\n5,\xd1\x87\xd0\xb0\xd0\xb9\n"
    )
    rows = list(read_table(path))
    assert [str(row) for row in rows if isinstance(row, BadRow)] == [
        "t.csv, row 2: has 1 cells; the header names 2",
        "t.csv, row 3: has 3 cells; the header names 2",
        "t.csv, row 4: is not UTF-8",
    ]
    assert [row.title for row in rows if isinstance(row, Product)] == ["Tea", "чай"]


def test_scalars_in_attributes_become_strings(tmp_path):
    attributes = '{"n": 5, "x": 1.5, "yes": true, "none": null}'
    path = write_csv(
        tmp_path / "t.csv", ["product_id", "title", "attributes"], ["1", "Tea", attributes]
    )
    [product] = read_table(path)
    assert product.attributes == {"n": "5", "x": "1.5", "yes": "true"}


def test_parquet_may_hold_numbers_lists_maps_and_nulls(tmp_path):
    table = pa.table(
        {
            "product_id": pa.array([1, 2]),
            "title": pa.array(["Tea", None]),
            "price": pa.array([2.5, math.nan]),
            "group": pa.array([7.0, None]),
            "images": pa.array([["a.jpg", "b.jpg"], None]),
            "attributes": pa.array(
                [[("colour", "red")], None], type=pa.map_(pa.string(), pa.string())
            ),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    first, second = read_table(tmp_path / "t.parquet")
    assert first == Product(
        product_id="1",
        title="Tea",
        price=2.5,
        group="7",
        images=(tmp_path / "a.jpg", tmp_path / "b.jpg"),
        attributes={"colour": "red"},
    )
    assert second == Product(product_id="2")


def test_parquet_structs_are_attributes(tmp_path):
    frame = pd.DataFrame({"product_id": ["1"], "title": ["Tea"], "attributes": [{"colour": "red"}]})
    frame.to_parquet(tmp_path / "t.parquet")
    [product] = read_table(tmp_path / "t.parquet")
    assert product.attributes == {"colour": "red"}


def test_csv_rows_are_read_lazily(tmp_path):
    path = tmp_path / "t.csv"
    with path.open("w") as file:
        file.write("product_id,title\n")
        file.writelines(f"{number},{'x' * 1000}\n" for number in range(5000))
    rows = read_table(path)
    assert len(list(itertools.islice(rows, 10))) == 10
    with path.open("r+") as file:  # what was not read yet can still change
        file.truncate(2_000_000)
    assert len(list(rows)) < 4000


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        ("", {}),
        ("title=name", {"title": "name"}),
        (" title = product name , images=photo,", {"title": "product name", "images": "photo"}),
        ("group=a=b", {"group": "a=b"}),
    ],
)
def test_column_mappings_are_read(text, mapping):
    assert parse_column_mapping(text) == mapping


@pytest.mark.parametrize("text", ["title", "title=", "name=title"])
def test_wrong_column_mappings_are_refused(text):
    with pytest.raises(ValueError, match=r"column mapping must look like|no column of ours"):
        parse_column_mapping(text)
