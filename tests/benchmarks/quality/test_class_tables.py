"""Tables whose groups are the categories."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.quality.class_tables import main, split_by_category
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import write_table


def products() -> list[Product]:
    rows = [
        Product(
            product_id=f"{kind}{number}", title="t", category=kind, group=f"{kind}-{number // 3}"
        )
        for kind in ("shirt", "shoe")
        for number in range(30)
    ]
    rows += [Product(product_id=f"w{number}", title="t", category="watch", group="w")
             for number in range(4)]  # fmt: skip
    return [*rows, Product(product_id="unknown", title="t")]


def test_a_fifth_of_each_category_is_held_out_by_whole_groups() -> None:
    given = {product.product_id: product for product in products()}
    data = split_by_category(products(), seed=1)
    assert {kind: sum(q.category == kind for q in data.queries) for kind in ("shirt", "shoe")} == {
        "shirt": 6,
        "shoe": 6,
    }
    ours = {given[product.product_id].group for product in data.train}
    theirs = {given[product.product_id].group for product in data.queries}
    assert not ours & theirs
    assert len(data.train) + len(data.queries) == 64
    assert all(product.group == product.category for product in (*data.train, *data.queries))


def test_a_category_of_one_group_is_only_learnt_from() -> None:
    data = split_by_category(products(), seed=1)
    assert sum(product.category == "watch" for product in data.train) == 4
    assert not any(product.category == "watch" for product in data.queries)


def test_the_gallery_is_a_part_of_what_is_learnt_from_with_every_category() -> None:
    data = split_by_category(products(), seed=1)
    train = {product.product_id for product in data.train}
    gallery = {product.product_id for product in data.gallery}
    assert gallery < train
    assert {product.category for product in data.gallery} == {"shirt", "shoe", "watch"}


def test_the_split_does_not_depend_on_the_order_of_rows() -> None:
    there = split_by_category(products(), seed=3).queries
    back = split_by_category(products()[::-1], seed=3).queries
    assert {p.product_id for p in there} == {p.product_id for p in back}


def test_one_category_is_refused() -> None:
    with pytest.raises(ValueError, match="two or more of them, got 1"):
        split_by_category([row for row in products() if row.category == "shoe"], seed=1)


def test_the_command_writes_three_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("train", "queries", "gallery"):
        write_table(tmp_path / f"{name}.parquet", products())
    out = tmp_path / "out"
    assert main(["--tables", str(tmp_path), "--out", str(out)]) == 0
    assert "52 rows of 3 categories to train on, 12 held out" in capsys.readouterr().out
    assert (out / "gallery.parquet").is_file()


def test_missing_tables_end_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--tables", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "error: " in capsys.readouterr().err
