"""The tables that a run learns from, read back and split."""

from dataclasses import replace
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
    with pytest.raises(FileNotFoundError, match=r"train\.parquet: run `make data` first"):
        load_training_data(DataConfig(folder=str(tmp_path)), seed=42)


def write_tables(folder: Path, queries: list[Product]) -> None:
    for name, rows in (("train", TRAIN), ("gallery", GALLERY), ("queries", queries)):
        write_table(folder / f"{name}.parquet", rows)


def test_one_group_alone_cannot_be_learnt_from(tmp_path: Path) -> None:
    write_tables(tmp_path, [])
    write_table(tmp_path / "train.parquet", rows_of("g1", "abc"))
    with pytest.raises(ValueError, match="two groups or more, got 1"):
        load_training_data(DataConfig(folder=str(tmp_path), validation_share=0), seed=42)


def test_validation_is_bounded_and_finds_its_products_among_few_others(tmp_path: Path) -> None:
    write_tables(tmp_path, rows_of("g11", "x"))
    config = DataConfig(folder=str(tmp_path), validation_share=0.5, validation_limit=8)
    data = load_training_data(config, seed=42)
    assert len(data.validation) == 2 * 3  # two of ten groups: 8 of 40 rows
    assert len(data.gallery) == 8
    assert set(data.validation.labels.tolist()) <= set(data.gallery.labels.tolist())
    kept = load_training_data(replace(config, validation_limit=100), seed=42)
    assert len(kept.gallery) == len(GALLERY) and len(kept.validation) == 5 * 3


def test_labels_of_what_is_learnt_come_first_and_rows_without_a_group_are_alone(
    tmp_path: Path,
) -> None:
    alone = [Product(product_id=name, title="x") for name in ("g1", "other")]
    write_tables(tmp_path, rows_of("g11", "x"))
    write_table(tmp_path / "train.parquet", [*alone, *TRAIN])
    data = load_training_data(DataConfig(folder=str(tmp_path), validation_share=0), seed=42)
    labels = data.train.labels.tolist()
    assert labels == [0, 1, *(2 + number for number in range(10) for _ in "cabd")]
    assert data.gallery.labels.tolist() == list(range(2, 14)) and data.group_count == 12
    titles = [row.product_id for row in data.train.take(data.train.is_catalogue).products]
    assert titles == [f"g{number}-c" for number in range(10)]


def test_whole_groups_are_drawn_of_many_rows(tmp_path: Path) -> None:
    write_tables(tmp_path, [])
    train = load_training_data(DataConfig(folder=str(tmp_path), validation_share=0), seed=1).train
    assert len(train.some_groups(100)) == len(TRAIN)
    few = train.some_groups(20)
    assert len(few) == 20 and sorted(set(few.labels.tolist())) == [0, 2, 4, 6, 8]
