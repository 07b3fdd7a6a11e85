"""Amazon ESCI, on small files of exactly the published form."""

import pandas as pd
import pytest

from training.catalogues.esci import EsciChoice, read_esci
from training.product import BadRow
from training.query_product import Relevance

EXAMPLES = [
    (0, "usb cable", 10, "B1", "us", "E", 1, 1, "train"),
    (1, "usb cable", 10, "B2", "us", "S", 1, 1, "train"),
    (2, "cable usb", 11, "B1", "es", "C", 0, 1, "test"),
    (3, "usb cable", 10, "B3", "us", "I", 1, 1, "test"),
]
EXAMPLE_COLUMNS = [
    "example_id", "query", "query_id", "product_id", "product_locale", "esci_label",
    "small_version", "large_version", "split",
]  # fmt: skip
PRODUCTS = [
    ("B1", "Cable USB-C 1 m", "<b>Fast</b>", "Braided", "Anker", "Black", "us"),
    ("B1", "Cable USB-C", None, None, "Anker", "Negro", "es"),
    ("B2", "Micro USB cable", None, None, None, None, "us"),
    ("B3", "Garden hose", None, None, None, None, "us"),
]
PRODUCT_COLUMNS = [
    "product_id", "product_title", "product_description", "product_bullet_point", "product_brand",
    "product_color", "product_locale",
]  # fmt: skip


def write(tmp_path, examples=EXAMPLES, products=PRODUCTS):
    paths = tmp_path / "examples.parquet", tmp_path / "products.parquet"
    pd.DataFrame(examples, columns=EXAMPLE_COLUMNS).to_parquet(paths[0])
    pd.DataFrame(products, columns=PRODUCT_COLUMNS).to_parquet(paths[1])
    return paths


def test_examples_are_joined_with_products_of_their_locale(tmp_path):
    first, second, third, fourth = read_esci(*write(tmp_path))
    assert [pair.label for pair in (first, second, third, fourth)] == list(Relevance)
    assert first.query == "usb cable" and first.product.product_id == "B1"
    assert first.product.title == "Cable USB-C 1 m" and first.product.brand == "Anker"
    assert first.product.description == "Braided\n<b>Fast</b>"
    assert first.product.attributes == {"color": "Black"}
    assert third.product.attributes == {"color": "Negro"}


def test_blocks_do_not_change_what_is_read(tmp_path):
    paths = write(tmp_path)
    assert list(read_esci(*paths, block_row_count=1)) == list(read_esci(*paths))


def test_a_locale_and_a_split_may_be_chosen(tmp_path):
    pairs = list(read_esci(*write(tmp_path), EsciChoice(locale="us", split="test")))
    assert [pair.product.product_id for pair in pairs] == ["B3"]


def test_the_smallest_form_needs_no_products(tmp_path):
    path = tmp_path / "small.csv"
    path.write_text("query,product,esci_label\nusb cable,Cable,exact\nusb cable,Hose,Irrelevant\n")
    first, second = read_esci(path)
    assert (first.product.title, first.label) == ("Cable", Relevance.EXACT)
    assert second.label is Relevance.IRRELEVANT and second.product.product_id == "row-2"


def test_the_older_release_names_the_locale_of_the_query(tmp_path):
    _, products = write(tmp_path)
    path = tmp_path / "train.csv"
    path.write_text(
        "query_id,query,query_locale,product_id,esci_label\n1,usb,us,B1,exact\n1,usb,us,B2,substitute\n"
    )
    assert [pair.product.product_id for pair in read_esci(path, products)] == ["B1", "B2"]


def test_bad_rows_are_reported_by_number(tmp_path):
    examples = [list(row) for row in EXAMPLES]
    examples[0][5], examples[1][1], examples[2][3] = "X", " ", "B9"
    products = [*PRODUCTS, PRODUCTS[3]]
    found = {row.row_number: row.reason for row in read_esci(*write(tmp_path, examples, products))}
    assert "'esci_label' must be exact, substitute, complement, irrelevant" in found[1]
    assert "'query' is empty" in found[2]
    assert "product_id+product_locale 'B9 es' stands in no row of products.parquet" in found[3]
    assert "stands in rows 4 and 5 of products.parquet" in found[4]


def test_a_product_without_title_is_reported_by_its_own_row(tmp_path):
    products = [("B1", None, *PRODUCTS[0][2:]), *PRODUCTS[1:]]
    first = next(read_esci(*write(tmp_path, products=products)))
    assert isinstance(first, BadRow)
    assert "products.parquet, row 1, column 'product_title': is empty" in first.reason


def test_one_label_and_wrong_columns_are_refused_at_once(tmp_path):
    examples, products = write(tmp_path, EXAMPLES[:1])
    with pytest.raises(ValueError, match=r"examples\.parquet, column 'esci_label': every label"):
        read_esci(examples, products)
    with pytest.raises(ValueError, match=r"examples\.parquet has no column 'product_title'"):
        read_esci(examples)
    write(tmp_path)
    pd.DataFrame({"product_id": ["B1"]}).to_parquet(products)
    with pytest.raises(ValueError, match=r"products\.parquet has no column 'product_locale'"):
        read_esci(examples, products)
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        read_esci(tmp_path / "none.parquet")
