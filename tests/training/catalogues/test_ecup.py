"""Ozon E-CUP matching, on small tables of exactly the published form."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.catalogues.ecup_tables import (
    IDS,
    NAME_SIZE,
    PICTURE_SIZE,
    write_attributes,
    write_pairs,
    write_pictures,
    write_tables,
    write_texts,
)
from tests.training.catalogues.rows import bad_rows, good_rows
from twinshelf.training.catalogues import ecup
from twinshelf.training.catalogues.ecup import read_ecup_pairs, read_ecup_vectors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tables(tmp_path)
    return tmp_path


def reasons(rows: Iterable[object]) -> dict[int, str]:
    return {row.row_number: row.reason for row in bad_rows(rows)}


def test_pairs_of_raw_fields_are_joined(folder: Path) -> None:
    first, second, third = good_rows(read_ecup_pairs(folder))
    assert (first.is_match, second.is_match, third.is_match) == (True, False, False)
    assert first.left.product_id == "11" and first.left.title == "Кукла 11"
    assert first.left.description == "<p>Описание 11</p>" and first.right.description == ""
    assert first.left.category == "EPG > Игрушки > Куклы"
    assert first.left.attributes == {"Цвет": "белый, красный", "Бренд": "Nobrand"}


def test_pairs_of_vectors_keep_all_pictures(folder: Path) -> None:
    first, second, _ = good_rows(read_ecup_vectors(folder))
    assert first.is_match and first.left.name_vector.tolist() == [11.0] * NAME_SIZE
    assert first.left.main_pictures.tolist() == [[11.0] * PICTURE_SIZE]
    assert first.left.further_pictures.shape == (0, PICTURE_SIZE)
    assert second.right.further_pictures.shape == (3, PICTURE_SIZE)
    assert second.right.pictures.shape == (4, PICTURE_SIZE)
    assert second.right.pictures.dtype == np.float32


@pytest.mark.parametrize("read", [read_ecup_pairs, read_ecup_vectors])
def test_blocks_do_not_change_what_is_read(
    read: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(read(folder))
    monkeypatch.setattr(ecup, "BLOCK_PAIR_COUNT", 1)
    cut = list(read(folder))
    assert [repr(pair) for pair in whole] == [repr(pair) for pair in cut]


def test_a_product_without_main_picture_has_none(folder: Path) -> None:
    write_pictures(folder, IDS, main=[None, *([[[1.0] * PICTURE_SIZE]] * 3)])
    first = good_rows(read_ecup_vectors(folder))[0]
    assert len(first.left.main_pictures) == len(first.left.pictures) == 0


def test_bad_pairs_are_reported_by_number(folder: Path) -> None:
    write_pairs(folder, [(11, 12, 1), (11, 11, 1), (11, None, 0), (11, 12, 2), (11, 99, 0)])
    found = reasons(read_ecup_pairs(folder))
    assert list(found) == [2, 3, 4, 5]
    assert "both name '11'" in found[2] and "'variantid2' is empty" in found[3]
    assert "column 'target' must be 0 or 1, got '2'" in found[4]
    assert "variantid '99' stands in no row of text_and_bert.parquet" in found[5]


def test_nan_and_odd_vectors_are_reported_by_file_row_and_column(folder: Path) -> None:
    nan = [0.5, float("nan"), 0.5, 0.5]
    write_pictures(folder, IDS, main=[[[1.0] * 4], [nan], [[1.0] * 4], [[1.0] * 3]])
    found = reasons(read_ecup_vectors(folder))
    assert list(found) == [1, 2]
    assert "resnet.parquet, row 2, column 'main_pic_embeddings_resnet_v1'" in found[1]
    assert "NaN" in found[1] and "has 3 numbers; others have 4" in found[2]


def test_nan_among_further_pictures_and_missing_names_are_reported(folder: Path) -> None:
    write_pictures(folder, IDS, further=[[[1.0] * 4, [1.0, None, 1.0, 1.0]], None, None, None])
    write_texts(folder, IDS, vectors=[[1.0] * 3, [1.0] * 3, None, [1.0] * 3])
    found = reasons(read_ecup_vectors(folder))
    assert "resnet.parquet, row 1, column 'pic_embeddings_resnet_v1'" in found[1]
    assert "text_and_bert.parquet, row 3, column 'name_bert_64': is empty" in found[2]


def test_repeated_products_are_reported_with_both_rows(folder: Path) -> None:
    write_attributes(folder, [11, 12, 13, 13])
    found = reasons(read_ecup_pairs(folder))
    assert "'13' stands in rows 3 and 4 of attributes.parquet" in found[2]


def test_broken_attributes_are_reported_by_file_row_and_column(folder: Path) -> None:
    columns = {"variantid": IDS, "categories": ["{}"] * 4,
               "characteristic_attributes_mapping": ["{}", "[oops", None, "{}"]}  # fmt: skip
    pq.write_table(pa.table(columns), folder / "attributes.parquet")
    found = reasons(read_ecup_pairs(folder))
    assert list(found) == [1]
    assert "row 2, column 'characteristic_attributes_mapping'" in found[1]


def test_targets_of_one_class_are_refused(folder: Path) -> None:
    write_pairs(folder, [(11, 12, 1), (13, 14, 1)])
    with pytest.raises(ValueError, match=r"train\.parquet, column 'target': every label is '1'"):
        read_ecup_vectors(folder)


def test_missing_tables_and_columns_are_named_at_once(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"other\.parquet"):
        read_ecup_pairs(folder, "other.parquet")
    pq.write_table(pa.table({"variantid": IDS}), folder / "resnet.parquet")
    with pytest.raises(ValueError, match=r"resnet\.parquet has no column 'main_pic_embeddings"):
        read_ecup_vectors(folder)
