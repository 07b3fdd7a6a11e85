"""Tables of products: each identifier once, and bad rows named by file and row."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinshelf.training.evaluation.product_tables import read_products


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(["product_id,title,price", *rows]) + "\n")
    return path


def test_several_files_are_joined_and_repeated_products_count_once(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", "1,tea,", "2,milk,")
    second = write(tmp_path / "b.csv", "2,milk,", "3,soap,")
    tables = read_products([first, second])
    assert [product.product_id for product in tables.products] == ["1", "2", "3"]
    assert tables.repeated_count == 1
    assert not tables.bad_rows


def test_a_duplicate_in_one_file_is_a_bad_row_named_by_file_and_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "1,tea,", "1,milk,", "2,soap,minus")
    tables = read_products([path])
    assert [product.title for product in tables.products] == ["tea", "soap"]
    reasons = [str(row) for row in tables.bad_rows]
    assert "a.csv, row 2" in reasons[0] and "'1'" in reasons[0]
    assert "1 price could not be read, such as 'minus'" in tables.notes[0]
    assert "1 rows were left out" in tables.notes[1]


def test_an_empty_or_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no usable row"):
        read_products([write(tmp_path / "empty.csv")])
    with pytest.raises(FileNotFoundError):
        read_products([tmp_path / "absent.csv"])
