"""Shopee Price Match, on a small folder of exactly its layout."""

from pathlib import Path

import pytest

from tests.training.catalogues.photos import write_photo
from twinshelf.training.catalogues.shopee import read_shopee

HEADER = "posting_id,image,image_phash,title,label_group\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with (tmp_path / "train.csv").open("w") as file:
        file.write(HEADER)
        for number in range(20):
            image = f"{number:032x}.jpg"
            write_photo(tmp_path / "train_images" / image, seed=number)
            title = f'"Paper Bag, Victoria {number // 2}"'
            file.write(f"train_{number},{image},94974f937d4c2433,{title},{number // 2 + 249114}\n")
    return tmp_path


def append(folder: Path, *lines: str) -> None:
    with (folder / "train.csv").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_postings_become_products(folder: Path) -> None:
    product = read_shopee(folder, seed=42).gallery[0]
    assert product.product_id == "train_0" and product.title == "Paper Bag, Victoria 0"
    assert product.group == "249114" and not product.attributes
    assert product.images == (folder / "train_images" / f"{0:032x}.jpg",)


def test_spelled_out_bytes_become_characters(folder: Path) -> None:
    append(folder, r"t,a.jpg,0,\xe2\x9d\xa4 RATU \xf0\x9f\x94\xa5 100\xff,1")
    assert read_shopee(folder, seed=42).gallery[-1].title == "❤ RATU 🔥 100"


def test_the_split_keeps_products_on_one_side(folder: Path) -> None:
    data = read_shopee(folder, seed=42)
    assert len(data.gallery) == 12 and len(data.queries) == 4 and len(data.train) == 16
    assert {p.product_id for p in data.queries} < {p.product_id for p in data.gallery}
    assert not {p.group for p in data.train} & {p.group for p in data.queries}
    assert not data.bad_rows


def test_bad_rows_are_reported_by_number(folder: Path) -> None:
    append(folder, ",a.jpg,0,Tea,1", "t1,,0,Tea,1", "t2,none.jpg,0,Tea,1", "t3,a.jpg,0,Tea,")
    append(folder, f"train_0,{0:032x}.jpg,0,Tea,1")
    bad_rows = read_shopee(folder, seed=42).bad_rows
    assert [(row.source, row.row_number) for row in bad_rows] == [
        ("train.csv", number) for number in (21, 22, 24, 25)
    ]
    for row, words in zip(
        bad_rows,
        ("'posting_id' is empty", "'image' is empty", "'label_group'", "stands in row"),
        strict=True,
    ):
        assert words in row.reason


def test_one_group_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(HEADER + "p0,a.jpg,0,Tea,1\np1,a.jpg,0,Tea,1\n")
    with pytest.raises(ValueError, match=r"train\.csv, column 'label_group': every label is '1'"):
        read_shopee(tmp_path, seed=42)


def test_a_missing_table_or_column_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train\.csv"):
        read_shopee(tmp_path, seed=42)
    (tmp_path / "train.csv").write_text("posting_id,image,title\n")
    message = r"train\.csv has no column 'label_group'; its columns are posting_id, image, title"
    with pytest.raises(ValueError, match=message):
        read_shopee(tmp_path, seed=42)
