"""Grouping a table with a run: files in, table of groups and figures out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.evaluation.tiny_run import make_run
from tests.training.grouping.planted import CALIBRATION
from twinshelf.training.grouping.__main__ import main
from twinshelf.training.grouping.grouping_config import GroupingConfig, GroupingOptions
from twinshelf.training.grouping.grouping_run import group_products
from twinshelf.training.loop.mlflow_run import RUN_ID, mlflow_run_id, open_mlflow
from twinshelf.training.runs.environment import read_environments

pytestmark = pytest.mark.slow

SETTINGS = GroupingConfig(neighbour_count=10)


def tables(run: Path) -> tuple[Path, ...]:
    folder = run.parent / "data"
    return folder / "gallery.parquet", folder / "queries.parquet"


def options(run: Path, output: Path, **changes: Any) -> GroupingOptions:
    values: dict[str, Any] = {"products": tables(run), "config": SETTINGS}
    return GroupingOptions(run=run, output=output, **values | changes)


def test_every_product_gets_a_group_and_figures_lie_beside_the_table(
    run: Path, tmp_path: Path
) -> None:
    result = group_products(options(run, tmp_path / "groups.parquet"))
    rows = pq.read_table(tmp_path / "groups.parquet").to_pylist()
    assert len(rows) == result.product_count == 30
    assert len({row["product_id"] for row in rows}) == 30
    assert sum(row["group_size"] > 1 for row in rows) == result.grouped_count
    saved = json.loads((tmp_path / "groups.json").read_text())
    assert saved["quality"]["labelled_count"] == 30
    assert saved["thresholds"] == {"both": 0.8, "image": 0.8, "text": 0.8}


def test_a_tracked_run_gets_the_figures_of_each_table_in_its_loggers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path, "tensorboard", "mlflow")
    (run / "calibration.json").write_text(CALIBRATION.to_json())
    gallery, queries = tables(run)
    result = group_products(options(run, run / "groups.parquet"))
    group_products(options(run, tmp_path / "few.parquet", products=(queries,)))
    assert result.quality is not None
    expected = {
        "grouping/groups/group_count": result.group_count,
        "grouping/groups/quality/row_f1": result.quality.row_f1,
        "grouping/groups/edge_counts/both": result.edge_counts["both"],
        "grouping/few/product_count": 20,
    }
    events = EventAccumulator(str(run / "logs"))
    events.Reload()
    client, number = open_mlflow(run), mlflow_run_id(run)
    figures = client.get_run(number).data.metrics
    for name, value in expected.items():
        assert [event.value for event in events.Scalars(name)] == [pytest.approx(value, abs=1e-6)]
        assert figures[name] == value
    kept = {Path(file.path).name for file in client.list_artifacts(number, "grouping/groups")}
    assert kept == {"groups.json", "environment.json"}
    assert list(read_environments(run)) == ["grouping/groups"]
    (run / RUN_ID).write_text("0123456789abcdef0123456789abcdef\n")
    again = tmp_path / "again.parquet"
    arguments = ["--run", str(run), "--products", str(gallery), "--output", str(again)]
    assert main(arguments) == 1
    assert "grouping failed: MLflow at" in capsys.readouterr().err
    assert again.is_file() and again.with_suffix(".json").is_file()


def test_a_run_without_loggers_gets_none(run: Path, tmp_path: Path) -> None:
    group_products(options(run, tmp_path / "groups.parquet"))
    assert list(read_environments(tmp_path)) == ["grouping/groups"]
    assert not (run / "logs").exists() and not (run / "mlflow").exists()


def test_names_last_from_one_grouping_to_the_next(run: Path, tmp_path: Path) -> None:
    group_products(options(run, tmp_path / "a.parquet"))
    first = {
        row["product_id"]: f"kept {row['group_id']}"
        for row in pq.read_table(tmp_path / "a.parquet").to_pylist()
    }
    table = pq.read_table(tmp_path / "a.parquet")
    renamed = [f"kept {name}" for name in table["group_id"].to_pylist()]
    pq.write_table(table.set_column(1, "group_id", [renamed]), tmp_path / "a.parquet")
    group_products(options(run, tmp_path / "b.parquet", previous=tmp_path / "a.parquet"))
    second = pq.read_table(tmp_path / "b.parquet").to_pylist()
    assert {row["product_id"]: row["group_id"] for row in second} == first


def test_a_run_without_a_calibration_names_the_command_that_makes_one(
    run: Path, tmp_path: Path
) -> None:
    bare = Path(shutil.copytree(run, tmp_path / "run"))
    (bare / "calibration.json").unlink()
    with pytest.raises(ValueError, match="run `make evaluate` first"):
        group_products(options(bare, tmp_path / "groups.parquet", products=tables(run)))


def test_wrong_files_are_refused_before_work(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.parquet"):
        options(run, tmp_path / "groups.csv")
    with pytest.raises(FileNotFoundError, match="no table of groups"):
        group_products(options(run, tmp_path / "g.parquet", previous=tmp_path / "absent.parquet"))


def test_the_command_prints_a_table_or_a_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["--output", str(tmp_path / "groups.parquet")]
    arguments = ["--run", str(run), *output, "--products"]
    assert main([*arguments, *map(str, tables(run))]) == 0
    text = capsys.readouterr().out
    assert "F1 per row" in text and "recall of pairs" in text
    (tmp_path / "empty.csv").write_text("product_id,title\n")
    assert main([*arguments, str(tmp_path / "empty.csv")]) == 1
    assert "grouping failed" in capsys.readouterr().err
