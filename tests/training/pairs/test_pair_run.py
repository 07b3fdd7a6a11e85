"""What training and evaluating a scorer leave in its folder and in its loggers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from twinshelf.training.loop.mlflow_run import RUN_ID, mlflow_run_id, open_mlflow
from twinshelf.training.pairs.evaluate_pairs import main as evaluate
from twinshelf.training.pairs.train_pairs import main as train
from twinshelf.training.runs.environment import read_environments

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_boosting")]


def test_a_scorer_and_its_evaluation_are_tracked_when_asked(
    pair_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    options = ["--pairs", str(pair_folder), "--output", str(run)]
    assert train([*options, "--loggers", "tensorboard", "mlflow"]) == 0
    test_file = str(pair_folder / "test.txt")
    for _ in range(2):
        assert evaluate(["--run", str(run), "--pairs", test_file]) == 0
    expected = {
        "training/validation/boosting/f1": json.loads((run / "pairs.json").read_text())[
            "validation"
        ]["boosting"]["f1"],
        "evaluation-test/f1": json.loads((run / "evaluation-test.json").read_text())["f1"],
    }
    events = EventAccumulator(str(run / "logs"))
    events.Reload()
    client = open_mlflow(run)
    found = client.get_run(mlflow_run_id(run))
    for name, value in expected.items():
        assert [event.value for event in events.Scalars(name)] == [pytest.approx(value, abs=1e-6)]
        assert found.data.metrics[name] == value
    assert len(client.search_runs([found.info.experiment_id])) == 1
    assert found.data.params["pairs"] == str(pair_folder)
    (run / RUN_ID).write_text("0123456789abcdef0123456789abcdef\n")
    assert evaluate(["--run", str(run), "--pairs", test_file]) == 1
    assert "evaluate_pairs failed: MLflow at" in capsys.readouterr().err


def test_options_and_environment_are_left_in_the_folder(pair_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(["--pairs", str(pair_folder), "--output", str(run), "--seed", "7"]) == 0
    settings = yaml.safe_load((run / "config.yaml").read_text())
    assert (settings["seed"], settings["encoder_run"], settings["loggers"]) == (7, None, [])
    assert list(read_environments(run)) == ["training"]
    assert not (run / "logs").exists() and not (run / "mlflow").exists()
    (run / "config.yaml").unlink()
    assert evaluate(["--run", str(run), "--pairs", str(pair_folder / "test.txt")]) == 0
