"""What the folder of a scorer says of its making: options and environment, tracked when asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from twinshelf.training.checkpoint import CONFIG
from twinshelf.training.files import write_atomically
from twinshelf.training.runs.environment import record_environment
from twinshelf.training.runs.tracking import Outcome, TrackedRun, begin_tracking, track_outcome


def record_training(folder: Path, options: Mapping[str, object], results: Path) -> int:
    """Writes config.yaml and environment.json, and tracks them with the figures of the training.

    Args:
        folder: Folder of the scorer.
        options: What it was trained with; `loggers` and `mlflow_uri` say where it is tracked.
        results: JSON file of its figures.

    Returns:
        Status of the command: 1 when tracking failed, which is then on standard error, else 0.
    """
    plain = json.loads(json.dumps(options, default=str))  # YAML has no tuples and no paths
    write_atomically(folder / CONFIG, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    return _track(folder, "training", results, is_new=True)


def record_evaluation(folder: Path, results: Path) -> int:
    """Tracks the figures of an evaluation where the training of the scorer was tracked.

    Args:
        folder: Folder of the scorer; without a config.yaml it is tracked nowhere.
        results: JSON file of the figures; its stem names them.

    Returns:
        As `record_training`.
    """
    return _track(folder, results.stem, results, is_new=False)


def _track(folder: Path, name: str, results: Path, *, is_new: bool) -> int:
    record_environment(folder, name)
    config = folder / CONFIG
    settings = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else {}
    run = TrackedRun(
        folder=folder,
        loggers=settings.get("loggers", ()),
        mlflow_uri=settings.get("mlflow_uri"),
    )
    try:
        if is_new:
            begin_tracking(run, is_resumed=False)
        track_outcome(run, Outcome(name=name, results=results))
    except OSError as error:
        sys.stderr.write(f"tracking failed, the results are saved: {error}\n")
        return 1
    return 0
