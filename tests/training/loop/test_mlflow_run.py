"""The MLflow run of a folder: one, until it is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinshelf.training.loop.mlflow_run import (
    RUN_ID,
    mlflow_address,
    mlflow_run,
    mlflow_run_id,
    open_mlflow,
)


def test_a_folder_has_one_run_until_it_is_forgotten(tmp_path: Path) -> None:
    first = mlflow_run_id(tmp_path)
    assert mlflow_run_id(tmp_path) == first
    (tmp_path / RUN_ID).unlink()
    second = mlflow_run_id(tmp_path)
    assert second != first
    client = open_mlflow(tmp_path)
    assert client.get_run(first).info.run_name == tmp_path.name
    assert client.get_run(first).info.experiment_id == client.get_run(second).info.experiment_id


def test_runs_at_one_address_share_an_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "server").as_uri())
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    numbers = {mlflow_run_id(folder) for folder in folders}
    client = open_mlflow(folders[0])
    experiment = client.get_experiment_by_name("twinshelf")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_id for run in runs} == numbers
    assert len(numbers) == 2
    assert not (folders[0] / "mlflow").exists()


def test_a_refusal_names_the_address(tmp_path: Path) -> None:
    from mlflow.exceptions import MlflowException  # takes seconds

    address = mlflow_address(tmp_path)
    with (
        pytest.raises(OSError, match=f"MLflow at {address} does not take the figures: no room"),
        mlflow_run(tmp_path),
    ):
        raise MlflowException("no room")
