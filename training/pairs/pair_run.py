"""What the folder of a scorer says of its making: options and environment, tracked when asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from twinshelf.training.checkpoint import CONFIG
from twinshelf.training.files import write_atomically
from twinshelf.training.runs.environment import record_environment
from twinshelf.training.runs.tracking import Outcome, TrackedRun, begin_tracking, track_outcome


def record_training(folder: Path, options: Mapping[str, object], results: Path) -> None:
    """Writes config.yaml and environment.json, and tracks them with the figures of the training.

    Args:
        folder: Folder of the scorer.
        options: What it was trained with; `loggers` and `mlflow_uri` say where it is tracked.
        results: JSON file of its figures.

    Raises:
        OSError: If MLflow does not take the figures.
    """
    plain = json.loads(json.dumps(options, default=str))  # YAML has no tuples and no paths
    write_atomically(folder / CONFIG, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    _track(folder, "training", results, is_new=True)


def record_evaluation(folder: Path, results: Path) -> None:
    """Tracks the figures of an evaluation where the training of the scorer was tracked.

    Args:
        folder: Folder of the scorer; without a config.yaml it is tracked nowhere.
        results: JSON file of the figures; its stem names them.

    Raises:
        OSError: If MLflow does not take the figures.
    """
    _track(folder, results.stem, results, is_new=False)


def _track(folder: Path, name: str, results: Path, *, is_new: bool) -> None:
    record_environment(folder, name)
    config = folder / CONFIG
    settings = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else {}
    run = TrackedRun(
        folder=folder,
        loggers=settings.get("loggers", ()),
        mlflow_uri=settings.get("mlflow_uri"),
    )
    if is_new:
        begin_tracking(run, is_resumed=False)
    track_outcome(run, Outcome(name=name, results=results))
