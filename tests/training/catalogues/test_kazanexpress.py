"""KazanExpress, on a small folder of exactly its layout."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.training.catalogues.photos import write_photo
from tests.training.catalogues.rows import good_rows
from twinshelf.training.catalogues.kazanexpress import (
    read_category_ids,
    read_kazanexpress,
    read_products,
    write_result,
)

TEXT_FIELDS = {
    "title": "Чехол",
    "description": "<p>Защитный <b>чехол</b></p>",
    "attributes": ["Прочный", "Лёгкий"],
    "custom_characteristics": {},
    "defined_characteristics": {"Цвет": ["Красный", "Синий"]},
    "filters": {"Материал": ["Силикон"]},
}


def rows(count: int = 10) -> list[dict[str, str | float]]:
    return [
        {
            "product_id": 1000 + number,
            "category_id": 11937 + number % 2,
            "category_name": f"Все категории->Чехлы {number % 2}",
            "sale": False,
            "shop_id": 7,
            "shop_title": "Aksik",
            "rating": 4.5,
            "text_fields": json.dumps(TEXT_FIELDS, ensure_ascii=False),
        }
        for number in range(count)
    ]


def write(folder: Path, records: list[dict[str, str | float]], part: str = "train") -> None:
    frame = pd.DataFrame(records)
    if part == "test":
        frame = frame.drop(columns=["category_id", "category_name"])
    frame.to_parquet(folder / f"{part}.parquet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, rows())
    for number in range(10):
        write_photo(tmp_path / f"images/train/{1000 + number}.jpg", seed=number)
    return tmp_path


def test_rows_become_products(folder: Path) -> None:
    product = good_rows(read_products(folder))[0]
    assert (product.product_id, product.title, product.seller) == ("1000", "Чехол", "Aksik")
    assert product.category == "Все категории->Чехлы 0" and product.group == "11937"
    assert product.description == "<p>Защитный <b>чехол</b></p>\nПрочный\nЛёгкий"
    assert product.attributes == {"Цвет": "Красный, Синий", "Материал": "Силикон"}
    assert product.images == (folder / "images/train/1000.jpg",)


def test_a_fifth_of_each_category_is_held_out(folder: Path) -> None:
    data = read_kazanexpress(folder, seed=42)
    assert [p.group for p in data.queries] in (["11937", "11938"], ["11938", "11937"])
    assert data.gallery == data.train and len(data.train) == 8 and not data.bad_rows


def test_test_products_have_no_category_and_may_lack_photos(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(folder, rows(2), "test")
    product = good_rows(read_products(folder, "test"))[0]
    assert product.category == "" and product.group == "" and product.images == ()
    assert "without photos" in caplog.text


def test_bad_rows_are_reported_by_number(folder: Path) -> None:
    records = rows(15)
    records[10]["text_fields"] = "{broken"
    records[11]["text_fields"] = json.dumps({"title": "x", "filters": [1]})
    records[12]["product_id"] = 1000
    records[14]["text_fields"] = repr(TEXT_FIELDS)  # Python's notation is understood
    write(folder, records)
    write_photo(folder / "images/train/1010.jpg")
    write_photo(folder / "images/train/1014.jpg")
    bad_rows = read_kazanexpress(folder, seed=42).bad_rows
    assert [(row.source, row.row_number) for row in bad_rows] == [
        ("train.parquet", number) for number in (11, 12, 13)
    ]
    assert "column 'text_fields': must be a JSON object" in bad_rows[0].reason
    assert "column 'text_fields': filters must be a JSON object" in bad_rows[1].reason
    assert "stands in row" in bad_rows[2].reason


def test_one_category_and_wrong_columns_are_refused(tmp_path: Path) -> None:
    write(tmp_path, rows(1) * 3)
    with pytest.raises(ValueError, match=r"train\.parquet, column 'category_id': every label is"):
        read_kazanexpress(tmp_path, seed=42)
    pd.DataFrame({"product_id": [1], "shop_title": ["x"]}).to_parquet(tmp_path / "test.parquet")
    with pytest.raises(ValueError, match=r"test\.parquet has no column 'text_fields'"):
        read_products(tmp_path, "test")


def test_category_numbers_are_known_by_name(folder: Path) -> None:
    assert read_category_ids(folder) == {
        "Все категории->Чехлы 0": 11937,
        "Все категории->Чехлы 1": 11938,
    }
    records = rows(3)
    records[2]["category_id"] = 5
    write(folder, records)
    with pytest.raises(ValueError, match=r"row 3, column 'category_id': .* is 11937 in an earlier"):
        read_category_ids(folder)


def test_the_result_has_the_published_columns(tmp_path: Path) -> None:
    path = tmp_path / "out" / "result.parquet"
    write_result(path, (3, 1), (11937, 11937))
    table = pq.read_table(path)
    assert table.column_names == ["product_id", "predicted_category_id"]
    assert table.to_pydict() == {"product_id": [3, 1], "predicted_category_id": [11937, 11937]}
    assert [str(kind) for kind in table.schema.types] == ["int64", "int64"]
    assert [file.name for file in path.parent.iterdir()] == ["result.parquet"]


def test_a_product_predicted_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="product_id 1 is predicted twice"):
        write_result(tmp_path / "result.parquet", (1, 1), (2, 2))
    assert not list(tmp_path.iterdir())
