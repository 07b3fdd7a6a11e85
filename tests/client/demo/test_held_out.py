"""Held-out offers are matched through a service and judged by their group."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas
import pytest

from tests.client.fake_service import REFUSED, FakeService
from twinshelf.client.commands.output import make_console
from twinshelf.client.demo.held_out import (
    DemoError,
    match_held_out,
    read_held_out,
    recall_at_1,
)
from twinshelf.client.demo.report import matches_table, recall_table, sheet_title
from twinshelf.client.file_products import product_of
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import ProductFiles
from twinshelf.client.sync_client import Client


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    gallery = {"product_id": ["p1", "p2"], "title": ["tea", "mug"], "group": ["tea", "mug"]}
    queries = {
        "product_id": ["q1", "q2", "q3", "q4"],
        "title": ["green tea", "my mug", "", "spoon"],
        "images": ["a.jpg", "", "a.jpg", ""],
        "group": ["tea", "mug", "tea", "spoon"],
    }
    pandas.DataFrame(gallery | {"images": ["a.jpg", ""]}).to_parquet(tmp_path / "gallery.parquet")
    pandas.DataFrame(queries).to_parquet(tmp_path / "queries.parquet")
    return tmp_path


@pytest.fixture
def stocked(client: Client, prepared: Path) -> None:
    rows = ProductFiles([prepared / "gallery.parquet"]).rows()
    products = (product_of(row) for row in rows if isinstance(row, ProductRow))
    assert all(not each.error for each in client.upsert(products))


def test_offers_without_an_answer_in_the_gallery_are_left_out(prepared: Path) -> None:
    held_out = read_held_out(prepared, query_count=10, seed=1)
    assert sorted(row.product_id for row in held_out.offers) == ["q1", "q2", "q3"]
    assert len(read_held_out(prepared, query_count=2, seed=1).offers) == 2


def test_each_pattern_takes_the_offers_that_have_what_it_needs(
    client: Client, stocked: None, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held_out = read_held_out(prepared, query_count=10, seed=1)
    matched = {each: match_held_out(client, held_out, each) for each in ("image", "text", "both")}
    assert {each: len(offers) for each, offers in matched.items()} == {
        "image": 2,
        "text": 2,
        "both": 1,
    }
    # The fake answers p1 first, whatever is asked.
    assert recall_at_1(matched["image"]) == 1.0 and recall_at_1(matched["text"]) == 0.5
    assert matched["image"][0].photos == (prepared / "a.jpg", None)
    console = make_console(sys.stdout)
    console.print(recall_table(matched))
    console.print(matches_table(matched["text"]))
    out = capsys.readouterr().out
    assert (
        "mean probability" in out
        and "photo only" in out
        and "0.500" in out
        and "wrong" in out
        and "right" in out
    )
    assert "text only 50.0%" in sheet_title("demo", matched)[1]


def test_a_refused_offer_ends_the_demonstration(
    client: Client, stocked: None, prepared: Path, service: FakeService
) -> None:
    service.row_failures = {"green tea": [REFUSED]}
    held_out = read_held_out(prepared, query_count=10, seed=1)
    with pytest.raises(DemoError, match="row 1 was refused: the photo is not an image"):
        match_held_out(client, held_out, "both")


def test_data_without_groups_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for name in ("gallery", "queries"):
        frame = pandas.DataFrame({"product_id": ["1"], "title": ["tea"]})
        frame.to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(DemoError, match="needs a column group"):
        read_held_out(tmp_path, query_count=10, seed=1)
