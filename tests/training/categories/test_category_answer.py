"""The answer to KazanExpress: every product of the test table gets a number of a category."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import write_table
from twinshelf.training.categories.__main__ import main

TITLES = {11937: ("red tea", "red tea box", "tea red cup"), 12: ("blue milk", "milk blue jar")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two categories, and of four products to predict."""
    known = [(number, title) for number, titles in TITLES.items() for title in titles]
    unknown = ["red tea jar", "milk blue", "", "tea"]
    frames = {
        "train": [
            {**_row(row, title), "category_id": number, "category_name": f"name {number}"}
            for row, (number, title) in enumerate(known)
        ],
        "test": [_row(100 + row, title) for row, title in enumerate(unknown)],
    }
    for part, rows in frames.items():
        pd.DataFrame(rows).to_parquet(tmp_path / f"{part}.parquet")
    for label in ("group", "category"):
        products = [
            Product(
                product_id=str(row),
                title=title,
                group=str(number) if label == "group" else "",
                category=f"name {number}",
            )
            for row, (number, title) in enumerate(known)
        ]
        write_table(tmp_path / f"{label}.parquet", products)
        offers = [Product(product_id=f"o{p.product_id}", title=p.title, group=p.group,
                          category=p.category) for p in products]  # fmt: skip
        write_table(tmp_path / f"{label}_offers.parquet", offers)
    return tmp_path


def _row(product_id: int, title: str) -> dict[str, object]:
    fields = json.dumps({"title": title})
    return {"product_id": product_id, "shop_title": "", "text_fields": fields}


@pytest.mark.parametrize("label", ["group", "category"])
def test_every_product_without_a_category_gets_one(run: Path, folder: Path, label: str) -> None:
    arguments = [
        "--run",
        str(run),
        "--label",
        label,
        "--modality",
        "text",
        "--most-neighbours",
        "2",
    ]
    tables = ["--gallery", str(folder / f"{label}.parquet"),
              "--queries", str(folder / f"{label}_offers.parquet"),
              "--validation", str(folder / f"{label}_offers.parquet")]  # fmt: skip
    tables += ["--most-neighbours", "2"]
    output = ["--kazanexpress", str(folder), "--output", str(folder / "out")]
    assert main([*arguments, *tables, *output, "--device", "cpu"]) == 0
    table = pq.read_table(folder / "out" / "result.parquet")
    assert table.column_names == ["product_id", "predicted_category_id"]
    answers = dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
    assert list(answers) == [100, 101, 102, 103]
    assert set(answers.values()) <= set(TITLES)
    assert answers[102] == 11937  # nothing to go by: the most frequent category
