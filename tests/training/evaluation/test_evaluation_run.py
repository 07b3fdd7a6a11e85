"""Evaluating a run: what is written where, and whose thresholds are used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.evaluation.tiny_run import SETTINGS, make_run
from twinshelf.training.checkpoint import PREPROCESSING, load_encoder
from twinshelf.training.evaluation.evaluation_config import EvaluationOptions
from twinshelf.training.evaluation.evaluation_run import evaluate_run
from twinshelf.training.loop.mlflow_run import mlflow_run_id, open_mlflow

pytestmark = pytest.mark.slow


def test_a_run_gets_results_calibration_and_plots(run: Path) -> None:
    result = evaluate_run(EvaluationOptions(run=run))
    written = json.loads((run / "evaluation.json").read_text())
    assert written["query_count"] == 20 and written["gallery_count"] == 10
    value = result.patterns["both"].metrics["MAP"].value
    assert written["patterns"]["both"]["metrics"]["MAP"]["value"] == value
    assert len(list((run / "plots").glob("*.png"))) == 4
    calibration = load_encoder(run).calibration
    assert calibration is not None and calibration.matches is not None
    assert len(calibration.matches.models) == 5
    assert calibration.matches.match_prior == 0.5
    for pattern, part in result.patterns.items():
        assert part.tuning is not None
        assert calibration.curves[pattern] == part.tuning.curve
        assert calibration.thresholds[pattern] == part.tuning.match_threshold


def test_an_encoder_that_reads_categories_predicts_them_with_a_note(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for fields in (("title",), ("title", "category")):
        (run / PREPROCESSING).write_text(replace(SETTINGS, text_fields=fields).to_json())
        notes = evaluate_run(EvaluationOptions(run=run, plots=False)).notes
        assert any("reads the category" in note for note in notes) == ("category" in fields)


def test_other_data_is_measured_by_the_thresholds_of_the_run(run: Path, tmp_path: Path) -> None:
    own = evaluate_run(EvaluationOptions(run=run, plots=False))
    before = {path: path.read_bytes() for path in run.glob("*.json")}
    offers = tmp_path / "offers.csv"
    offers.write_text("id,name,group\na,red tea,g0\nb,green soap,g1\nc,,g2\n")
    options = EvaluationOptions(
        run=run,
        queries=offers,
        columns={"product_id": ("id",), "title": ("name",)},
        plots=False,
    )
    found = evaluate_run(options)
    assert (found.query_count, list(found.patterns)) == (2, ["text"])
    part = found.patterns["text"]
    assert part.tuning == own.patterns["text"].tuning
    assert part.held_out is not None and part.held_out.query_count == part.query_count
    assert any("1 rows were left out, first" in note for note in found.notes)
    (written,) = (run / "evaluations").glob("offers-*/evaluation.json")
    assert written.parent == options.results_folder
    assert {path: path.read_bytes() for path in run.glob("*.json")} == before


def test_results_elsewhere_leave_the_calibration_of_the_run_alone(
    run: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*.json")}
    evaluate_run(EvaluationOptions(run=run, output=tmp_path / "out", plots=False))
    assert (tmp_path / "out" / "evaluation.json").is_file()
    written = {path for path in run.rglob("*.json") if path.read_bytes() != before.get(path)}
    assert written <= {run / "environment.json"}


def test_results_of_other_data_have_folders_of_their_own() -> None:
    a, b, parquet, shop = (Path(x) for x in ("a/t.csv", "b/t.csv", "a/t.parquet", "shop.csv"))
    tables = ((a, None), (b, None), (parquet, None), (a, shop), (None, a))
    folders = {
        EvaluationOptions(run=Path("runs/a"), queries=queries, gallery=gallery).results_folder
        for queries, gallery in tables
    }
    assert len(folders) == len(tables)


def test_other_data_can_be_tuned_anew(run: Path) -> None:
    evaluate_run(EvaluationOptions(run=run, plots=False))
    queries = Path(load_encoder(run).config.data.folder) / "queries.parquet"
    options = EvaluationOptions(
        run=run, queries=queries, output=run / "anew", tune=True, plots=False
    )
    found = evaluate_run(options)
    part = found.patterns["both"]
    assert part.held_out is not None and part.held_out.query_count < part.query_count
    assert (run / "anew" / "evaluation.json").is_file()


def test_a_file_against_itself_leaves_each_query_out(run: Path) -> None:
    queries = Path(load_encoder(run).config.data.folder) / "queries.parquet"
    options = EvaluationOptions(run=run, queries=queries, gallery=queries, tune=True, plots=False)
    found = evaluate_run(options)
    assert found.patterns["image"].itself_count == 20
    assert found.patterns["image"].metrics["R@10"].value <= 1


def test_missing_photos_are_noted(run: Path, tmp_path: Path) -> None:
    offers = tmp_path / "offers.csv"
    offers.write_text("product_id,title,images\na,tea,gone.jpg\nb,,gone.jpg\n")
    found = evaluate_run(EvaluationOptions(run=run, queries=offers, plots=False))
    assert any("2 photos could not be read" in note for note in found.notes)
    assert any("1 rows were left out, first" in note for note in found.notes)


def test_a_missing_table_is_named(run: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone.csv"
    with pytest.raises(FileNotFoundError, match=r"gone\.csv"):
        evaluate_run(EvaluationOptions(run=run, gallery=gone))


def test_a_table_without_a_usable_row_is_named(run: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("product_id,title\n1,\n")
    with pytest.raises(ValueError, match=r"empty\.csv holds no usable row"):
        evaluate_run(EvaluationOptions(run=run, queries=empty))


def test_a_tracked_run_gets_the_figures_and_plots_in_its_loggers(tmp_path: Path) -> None:
    run = make_run(tmp_path, "tensorboard", "mlflow")
    found = evaluate_run(EvaluationOptions(run=run))
    queries = tmp_path / "data" / "queries.parquet"
    half = tmp_path / "half"
    evaluate_run(EvaluationOptions(run=run, queries=queries, output=half, plots=False))
    recall = found.patterns["both"].metrics["R@1"].value
    tag = "patterns/both/metrics/R_at_1/value"
    events = EventAccumulator(str(run / "logs"))
    events.Reload()
    assert [event.value for event in events.Scalars(f"evaluation/{tag}")] == [
        pytest.approx(recall, abs=1e-6)
    ]
    assert f"evaluations/half/{tag}" in events.Tags()["scalars"]
    pictures = {"precision_recall", "scores", "reliability", "recall_by_k"}
    assert set(events.Tags()["images"]) == {f"evaluation/{name}" for name in pictures}
    client, number = open_mlflow(run), mlflow_run_id(run)
    figures = client.get_run(number).data.metrics
    assert figures[f"evaluation/{tag}"] == recall
    assert f"evaluations/half/{tag}" in figures
    plots = {Path(file.path).stem for file in client.list_artifacts(number, "evaluation/plots")}
    assert plots == pictures
    kept = {Path(file.path).name for file in client.list_artifacts(number, "evaluation")}
    assert {"evaluation.json", "calibration.json", "environment.json"} <= kept


def test_a_run_without_loggers_gets_none(run: Path) -> None:
    evaluate_run(EvaluationOptions(run=run, plots=False))
    assert not (run / "logs").exists() and not (run / "mlflow").exists()
