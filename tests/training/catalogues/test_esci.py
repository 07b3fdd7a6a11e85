"""Amazon ESCI, on small files of exactly the published form."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from tests.training.catalogues.rows import bad_rows, good_rows
from tests.training.catalogues.small_esci import write_published
from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues import esci
from twinshelf.training.catalogues.esci import read_esci, read_esci_tables
from twinshelf.training.catalogues.product import Relevance

EXAMPLES = [
    (0, "usb cable", 10, "B1", "us", "E", 1, 1, "train"),
    (1, "usb cable", 10, "B2", "us", "S", 1, 1, "train"),
    (2, "cable usb", 11, "B1", "es", "C", 0, 1, "test"),
    (3, "usb cable", 10, "B3", "us", "I", 1, 1, "test"),
]
PRODUCTS = [
    ("B1", "Cable USB-C 1 m", "<b>Fast</b>", "Braided", "Anker", "Black", "us"),
    ("B1", "Cable USB-C", None, None, "Anker", "Negro", "es"),
    ("B2", "Micro USB cable", None, None, None, None, "us"),
    ("B3", "Garden hose", None, None, None, None, "us"),
]


def write(
    tmp_path: Path,
    examples: Sequence[Sequence[object]] = EXAMPLES,
    products: Sequence[Sequence[object]] = PRODUCTS,
) -> Path:
    """Writes rows of both published files; returns their folder."""
    write_published(tmp_path, examples, products)
    return tmp_path


def test_examples_are_joined_with_products_of_their_locale(tmp_path: Path) -> None:
    first, second, third, fourth = good_rows(read_esci(write(tmp_path)))
    assert [pair.label for pair in (first, second, third, fourth)] == list(Relevance)
    assert first.query == "usb cable" and first.product.product_id == "B1-us"
    assert first.product.title == "Cable USB-C 1 m" and first.product.brand == "Anker"
    assert first.product.description == "Braided\n<b>Fast</b>"
    assert first.product.attributes == {"color": "Black"}
    assert third.product.attributes == {"color": "Negro"}
    assert third.product.product_id == "B1-es" and third.locale == "es"
    assert [pair.is_held_out for pair in (first, second, third, fourth)] == [
        False,
        False,
        True,
        True,
    ]


def test_blocks_do_not_change_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path)
    whole = list(read_esci(folder))
    monkeypatch.setattr(esci, "BLOCK_ROW_COUNT", 1)
    assert list(read_esci(folder)) == whole


def test_a_locale_may_be_chosen(tmp_path: Path) -> None:
    pairs = good_rows(read_esci(write(tmp_path), "us"))
    assert pairs and {pair.locale for pair in pairs} == {"us"}


def test_the_smallest_form_needs_no_products(tmp_path: Path) -> None:
    path = tmp_path / "small.csv"
    path.write_text("query,product,esci_label\nusb cable,Cable,exact\nusb cable,Hose,Irrelevant\n")
    first, second = good_rows(read_esci(path))
    assert (first.product.title, first.label) == ("Cable", Relevance.EXACT)
    assert second.label is Relevance.IRRELEVANT and second.product.product_id == "hose"


def test_the_older_release_names_the_locale_of_the_query(tmp_path: Path) -> None:
    folder = write(tmp_path)
    columns = ["query_id", "query", "query_locale", "product_id", "esci_label"]
    rows = [(1, "usb", "us", "B1", "exact"), (1, "usb", "us", "B2", "substitute")]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / esci.EXAMPLES)
    found = good_rows(read_esci(folder))
    assert [pair.product.product_id for pair in found] == ["B1-us", "B2-us"]


def test_bad_rows_are_reported_by_number(tmp_path: Path) -> None:
    examples = [list(row) for row in EXAMPLES]
    examples[0][5], examples[1][1], examples[2][3] = "X", "<br>", "B9"
    products = [*PRODUCTS, PRODUCTS[3]]
    rows = read_esci(write(tmp_path, examples, products))
    found = {row.row_number: row.reason for row in bad_rows(rows)}
    assert "'esci_label' must be exact, substitute, complement, irrelevant" in found[1]
    assert "'query' is empty" in found[2]
    assert f"product_id+product_locale 'B9 es' stands in no row of {esci.PRODUCTS}" in found[3]
    assert f"stands in rows 4 and 5 of {esci.PRODUCTS}" in found[4]


def test_a_product_without_title_is_reported_by_its_own_row(tmp_path: Path) -> None:
    products = [("B1", None, *PRODUCTS[0][2:]), *PRODUCTS[1:]]
    first = next(read_esci(write(tmp_path, products=products)))
    assert isinstance(first, BadRow)
    assert "products.parquet, row 1, column 'product_title': is empty" in first.reason


def test_one_label_and_wrong_columns_are_refused_at_once(tmp_path: Path) -> None:
    folder = write(tmp_path, EXAMPLES[:1])
    with pytest.raises(ValueError, match=r"examples\.parquet, column 'esci_label': every label"):
        read_esci(folder)
    with pytest.raises(ValueError, match=r"examples\.parquet has no column 'product_title'"):
        read_esci(folder / esci.EXAMPLES)
    write(tmp_path)
    pd.DataFrame({"product_id": ["B1"]}).to_parquet(folder / esci.PRODUCTS)
    with pytest.raises(ValueError, match=r"products\.parquet has no column 'product_locale'"):
        read_esci(folder)
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        read_esci(tmp_path / "none.parquet")


def test_without_identifiers_products_of_one_title_are_one(tmp_path: Path) -> None:
    path = tmp_path / "small.csv"
    path.write_text("query,product,esci_label\nusb,Cable,exact\ncord,CABLE,E\ncord,Hose,I\n")
    first, second, third = good_rows(read_esci(path))
    assert first.product.product_id == second.product.product_id != third.product.product_id


def test_a_joined_file_is_found_by_its_published_name(tmp_path: Path) -> None:
    joined = tmp_path / "esci.csv"
    joined.write_text("query,product,esci_label\nusb cable,Cable,exact\nusb cable,Hose,I\n")
    assert len(list(read_esci(tmp_path))) == 2
    assert list(read_esci(tmp_path)) == list(read_esci(joined))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"neither {esci.EXAMPLES} with .* esci.csv"):
        read_esci(tmp_path)
    (write(tmp_path) / esci.PRODUCTS).unlink()
    with pytest.raises(FileNotFoundError, match=f"holds {esci.EXAMPLES}, but no {esci.PRODUCTS}"):
        read_esci(tmp_path)


def test_tables_may_be_of_one_locale(tmp_path: Path) -> None:
    examples = [*EXAMPLES, (4, "hose", 12, "B3", "us", "E", 1, 1, "train")]
    write(tmp_path, examples)
    assert {p.product_id[-2:] for p in read_esci_tables(tmp_path, 42).gallery} == {"us", "es"}
    data = read_esci_tables(tmp_path, 42, locale="us")
    assert {p.product_id for p in data.gallery} == {"B1-us", "B2-us", "B3-us"}
