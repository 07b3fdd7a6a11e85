"""What reaches TensorBoard and MLflow, read back by their own readers."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import Run
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from twinshelf.training.loop.mlflow_run import RUN_ID, mlflow_run_id, open_mlflow
from twinshelf.training.runs.environment import record_environment
from twinshelf.training.runs.tracking import Outcome, TrackedRun, begin_tracking, track_outcome

pytestmark = pytest.mark.slow

RESULTS = {
    "query_count": 20,
    "is_tuned": True,
    "patterns": {
        "both": {
            "metrics": {"P@1": {"value": 0.625, "low": None}},
            "curve": [0.1, 0.2],
            "by_category": {"a & b": {"means": {"P@1": 0.5}}},
        }
    },
    "notes": "20 rows",
}
FIGURES = {"evaluation/query_count": 20.0, "evaluation/patterns/both/metrics/P_at_1/value": 0.625}


def make_run(folder: Path, *loggers: str) -> TrackedRun:
    folder.mkdir()
    (folder / "config.yaml").write_text("seed: 1\nmodel: {name: x, options: []}\nempty: ''\n")
    record_environment(folder)
    return TrackedRun(folder=folder, loggers=loggers)


def make_outcome(folder: Path, name: str = "evaluation", **changes: object) -> Outcome:
    results = folder / "evaluation.json"
    results.write_text(json.dumps({**RESULTS, **changes}))
    plot = folder / "scores.png"
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(plot)
    return Outcome(name=name, results=results, plots=[plot], files=[folder / "environment.json"])


def read_events(run: TrackedRun) -> EventAccumulator:
    events = EventAccumulator(str(run.folder / "logs"))
    events.Reload()
    return events


def scalars(run: TrackedRun) -> dict[str, list[float]]:
    events = read_events(run)
    return {tag: [event.value for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def only_mlflow_run(run: TrackedRun) -> Run:
    client = open_mlflow(run.folder)
    experiment = client.get_experiment_by_name("twinshelf")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    return found


def artifacts(run: TrackedRun, place: str | None = None) -> set[str]:
    client = open_mlflow(run.folder)
    listed = client.list_artifacts(mlflow_run_id(run.folder), place)
    return {file.path for file in listed if not file.is_dir}


def test_tensorboard_gets_figures_plots_and_settings(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "tensorboard")
    outcome = make_outcome(run.folder)
    track_outcome(run, outcome)
    assert scalars(run) == {name: [value] for name, value in FIGURES.items()}
    events = read_events(run)
    (image,) = events.Images("evaluation/scores")
    with Image.open(io.BytesIO(image.encoded_image_string)) as drawn:
        assert np.array_equal(np.asarray(drawn), np.asarray(Image.open(outcome.plots[0])))
    for name, expected in (("config", "seed: 1"), ("environment", '"git_revision"')):
        (event,) = events.Tensors(f"{name}/text_summary")
        assert expected in event.tensor_proto.string_val[0].decode()
    assert not (run.folder / "mlflow").exists()


def test_a_second_evaluation_replaces_the_first_and_nothing_else(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "tensorboard")
    with SummaryWriter(run.folder / "logs") as training:
        for step in range(3):
            training.add_scalar("train/loss", step, step)
    track_outcome(run, make_outcome(run.folder, "evaluations/half"))
    for count in (20, 30):
        track_outcome(run, make_outcome(run.folder, query_count=count))
    found = scalars(run)
    assert found["evaluation/query_count"] == [30.0]
    assert found["evaluations/half/query_count"] == [20.0]
    assert found["train/loss"] == [0.0, 1.0, 2.0]


def test_mlflow_gets_figures_plots_and_settings(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "mlflow")
    track_outcome(run, make_outcome(run.folder))
    found = only_mlflow_run(run)
    assert found.data.metrics == FIGURES
    assert found.data.params == {"seed": "1", "model.name": "x", "model.options": "[]",
                                 "empty": '""'}  # fmt: skip
    revision = json.loads((run.folder / "environment.json").read_text())["training"]["git_revision"]
    assert found.data.tags["git_revision.training"] == revision
    assert found.info.status == "FINISHED"
    assert artifacts(run) == {"config.yaml", "environment.json"}
    assert artifacts(run, "evaluation") == {
        "evaluation/evaluation.json",
        "evaluation/environment.json",
    }
    assert artifacts(run, "evaluation/plots") == {"evaluation/plots/scores.png"}
    assert not (run.folder / "logs").exists()


def test_a_second_evaluation_updates_the_mlflow_run_of_the_training(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "mlflow")
    begin_tracking(run, is_resumed=False)
    trained = mlflow_run_id(run.folder)
    open_mlflow(run.folder).log_metric(trained, "train/loss", 0.5)
    assert only_mlflow_run(run).info.status == "RUNNING"
    for count in (20, 30):
        track_outcome(run, make_outcome(run.folder, query_count=count))
    found = only_mlflow_run(run)
    assert found.info.run_id == trained
    assert found.data.metrics["evaluation/query_count"] == 30
    assert found.data.metrics["train/loss"] == 0.5


@pytest.mark.parametrize("is_resumed", [True, False])
def test_only_a_resumed_training_goes_on_in_its_mlflow_run(
    tmp_path: Path, is_resumed: bool
) -> None:
    run = make_run(tmp_path / "run", "mlflow")
    begin_tracking(run, is_resumed=False)
    first = mlflow_run_id(run.folder)
    for seed in (2, 1):
        (run.folder / "config.yaml").write_text(f"seed: {seed}\n")
        begin_tracking(run, is_resumed=is_resumed)
        number = mlflow_run_id(run.folder)
        assert (number == first) is is_resumed
        data = open_mlflow(run.folder).get_run(number).data
        newest = data.tags.get("changed.seed", data.params["seed"])
        assert newest == str(seed)
        assert data.params["seed"] == ("1" if is_resumed else str(seed))


def test_without_loggers_nothing_is_written(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    outcome = make_outcome(run.folder)
    before = set(run.folder.rglob("*"))
    begin_tracking(run, is_resumed=False)
    track_outcome(run, outcome)
    assert set(run.folder.rglob("*")) == before


def test_many_figures_and_settings_go_in_parts(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "mlflow")
    many = "".join(f"s{number}: {number}\n" for number in range(110))
    (run.folder / "config.yaml").write_text(many)
    by_k = {str(number): number / 2 for number in range(1010)}
    track_outcome(run, make_outcome(run.folder, patterns=by_k))
    data = only_mlflow_run(run).data
    assert len(data.params) == 110
    assert data.metrics["evaluation/patterns/1009"] == 504.5
    assert len(data.metrics) == 1011


def test_an_mlflow_run_that_is_gone_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "mlflow")
    (run.folder / RUN_ID).write_text("0123456789abcdef0123456789abcdef\n")
    with pytest.raises(OSError, match=r"MLflow at file://.*: Run '0123456789abcdef.*not found"):
        track_outcome(run, make_outcome(run.folder))
