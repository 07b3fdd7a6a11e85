"""The folder of a scorer as a run that is tracked when its training was asked to be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from twinshelf.training.checkpoint import CONFIG
from twinshelf.training.files import write_atomically
from twinshelf.training.runs.tracking import Outcome, TrackedRun, begin_tracking, track_outcome


def scorer_run(folder: Path) -> TrackedRun:
    """Returns the run of a scorer; one without a config.yaml is tracked nowhere."""
    config = folder / CONFIG
    settings = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else {}
    return TrackedRun(folder=folder, loggers=settings.get("loggers", ()))


def record_training(folder: Path, options: Mapping[str, object], results: Path) -> None:
    """Writes config.yaml and environment.json, and tracks them with the figures of the training.

    Args:
        folder: Folder of the scorer.
        options: What it was trained with; `loggers` say where it is tracked.
        results: JSON file of its figures.

    Raises:
        OSError: If MLflow does not take the figures.
    """
    plain = json.loads(json.dumps(options, default=str))  # YAML has no tuples and no paths
    write_atomically(folder / CONFIG, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    run = scorer_run(folder)
    begin_tracking(run, is_resumed=False)
    track_outcome(run, Outcome(name="training", results=results))
