"""The tables that a run learns from, read back and split."""

from pathlib import Path

import pytest

from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import write_table
from twinshelf.training.data.data_config import DataConfig
from twinshelf.training.data.training_data import load_training_data


def rows_of(group: str, names: str) -> list[Product]:
    return [
        Product(product_id=f"{group}-{name}", title=f"{group} {name}", group=group)
        for name in names
    ]


TRAIN = [row for number in range(10) for row in rows_of(f"g{number}", "cabd")]
GALLERY = [rows_of(f"g{number}", "c")[0] for number in range(12)]


def test_tables_are_read_back(tmp_path: Path) -> None:
    for name, rows in (("train", TRAIN), ("gallery", GALLERY), ("queries", rows_of("g11", "x"))):
        write_table(tmp_path / f"{name}.parquet", rows)
    data = load_training_data(DataConfig(folder=str(tmp_path)), seed=42)
    assert len(data.train) + len(data.validation) == len(TRAIN) - 1
    assert [row.product_id for row in data.gallery.products] == [row.product_id for row in GALLERY]


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train\.parquet: run training\.prepare first"):
        load_training_data(DataConfig(folder=str(tmp_path)), seed=42)
