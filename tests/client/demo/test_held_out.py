"""Held-out offers are matched through a service and judged by their group."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas
import pytest

from client.demo.held_out import match_held_out, read_held_out, recall_at_1
from client.demo.plan import (
    DemoPlan,
    evaluate_step,
    export_step,
    index_step,
    prepare_step,
    train_step,
)
from client.demo.report import matches_table, recall_table, sheet_title
from client.demo.steps import DemoError
from client.output import make_console
from client.product_file import ProductFile
from client.sync_client import TwinshelfClient
from tests.client.fake_service import REFUSED, FakeService


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
def stocked(client: TwinshelfClient, prepared: Path) -> None:
    rows = ProductFile(prepared / "gallery.parquet").rows()
    assert all(not each.error for each in client.upsert(row.product for row in rows if row.product))


def test_offers_without_an_answer_in_the_gallery_are_left_out(prepared: Path) -> None:
    held_out = read_held_out(prepared, query_count=10, seed=1)
    assert held_out.offer_count == 3
    assert sorted(row.product.product_id for row in held_out.offers if row.product) == [
        "q1",
        "q2",
        "q3",
    ]
    assert len(read_held_out(prepared, query_count=2, seed=1).offers) == 2


def test_each_pattern_takes_the_offers_that_have_what_it_needs(
    client: TwinshelfClient, stocked: None, prepared: Path, capsys: pytest.CaptureFixture[str]
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
    assert "photo only" in out and "0.500" in out and "wrong" in out and "right" in out
    assert "text only 50.0%" in sheet_title("demo", matched)[1]


def test_a_refused_offer_ends_the_demonstration(
    client: TwinshelfClient, stocked: None, prepared: Path, service: FakeService
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


def test_the_generated_data_needs_nothing_and_keeps_its_name() -> None:
    plan = DemoPlan()
    assert plan.run == Path("runs/generated")
    assert prepare_step(plan).arguments == [
        "training.prepare",
        "--data",
        "generated",
        "--out",
        ".cache/data/generated",
    ]
    train = train_step(plan, "digest")
    assert train.arguments[:3] == ["training.train", "--config", "demo"]
    assert train.after == ["digest"]
    assert not any(path.name == "evaluation" for path in train.inputs)
    assert evaluate_step(plan, "d").arguments == ["training.evaluate", "--run", "runs/generated"]
    assert export_step(plan, "d", Path("v1")).outputs == [Path("v1")]


def test_grocery_takes_the_weights_that_lie_beside_it(tmp_path: Path) -> None:
    data_dir = tmp_path / "data" / "grocery"
    data_dir.mkdir(parents=True)
    weights = tmp_path / "weights" / "mobilenetv2_100_tf2ptq_timm.pth"
    assert not any("weights" in each for each in grocery_arguments(data_dir))
    weights.parent.mkdir()
    weights.touch()
    assert f"--model.image.weights={weights.resolve()}" in grocery_arguments(data_dir)
    other = tmp_path / "other.pth"
    other.touch()
    assert f"--model.image.weights={other}" in grocery_arguments(data_dir, image_weights=other)


def grocery_arguments(data_dir: Path, **options: Path) -> list[str]:
    plan = DemoPlan(data="grocery", data_dir=data_dir, **options)  # type: ignore[arg-type]
    arguments = list(train_step(plan, "d").arguments)
    assert arguments[:3] == ["training.train", "--config", "grocery"]
    return arguments


def test_the_address_of_the_service_does_not_count_for_the_index() -> None:
    one, other = (index_step(DemoPlan(), f"127.0.0.1:{port}", "d") for port in (1, 2))
    assert one.arguments == other.arguments and one.environment != other.environment


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": "grocery"}, "DATA_DIR"),
        ({"data": "fashion", "data_dir": Path("no")}, "there is no folder no"),
        ({"data": "no.csv"}, "there is no file no.csv"),
        ({"image_weights": Path("no.pth")}, "there are no weights"),
    ],
)
def test_data_that_is_not_there_is_named(options: dict[str, Path], words: str) -> None:
    with pytest.raises(DemoError, match=words):
        DemoPlan(**options)  # type: ignore[arg-type]
