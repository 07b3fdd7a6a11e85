"""Compares the inputs, the training and the index of a run, and saves what was found."""

from __future__ import annotations

from pathlib import Path

from training.ablation.evaluator import AblationSource, compare
from training.ablation.results import Ablation
from training.checkpoint import CONFIG
from training.config import config_from_yaml
from training.runs.environment import record_environment
from training.runs.tracking import Outcome, TrackedRun, track_outcome
from training.whole_file import write_whole

RESULTS = "ablation.json"
OTHER_FILES = "ablations"


def ablate(source: AblationSource, output: Path | None = None) -> Ablation:
    """Compares as `compare` does, and saves the results as JSON.

    They go to the loggers of the run's training as well: as "ablation", those of another file as
    "ablations/STEM".

    Args:
        source: What is compared.
        output: File of the results; None takes ablation.json of the run.

    Raises:
        FileNotFoundError: If a file of the run or a table is missing.
        ValueError: If a table cannot be read or an encoder cannot be loaded.
        OSError: If MLflow does not take the results, which are then saved.
    """
    found = compare(source)
    own = source.run / RESULTS
    results = output or own
    name = own.stem if results.resolve() == own.resolve() else f"{OTHER_FILES}/{results.stem}"
    environment = record_environment(results.parent, name)
    write_whole(results, found.to_json())
    config = config_from_yaml((source.run / CONFIG).read_text(encoding="utf-8"))
    track_outcome(
        TrackedRun.of(source.run, config.loop),
        Outcome(name=name, results=results, files=[environment]),
    )
    return found
