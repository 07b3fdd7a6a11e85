"""Tracking: what a run leaves in its folder, in TensorBoard and MLflow as well when asked."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from twinshelf.training.checkpoint import CONFIG
from twinshelf.training.files import write_json
from twinshelf.training.loop.mlflow_run import RUN_ID, mlflow_experiment, mlflow_run
from twinshelf.training.loop.trainer import LOGS
from twinshelf.training.runs.environment import ENVIRONMENT, read_environments, record_environment
from twinshelf.training.runs.figures import flat_texts, flatten

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Figures of each category would be thousands; they stand in the file of results.
UNTRACKED = "by_category"
SETTINGS = "settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a step of a run came to.

    Attributes:
        name: Name of the step, such as "evaluation"; what is logged again under it replaces what
            was.
        results: JSON file whose numbers are its figures.
        plots: Its pictures, PNG.
        files: What else is kept of it.
    """

    name: str
    results: Path
    plots: Sequence[Path] = ()
    files: Sequence[Path] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """A run, and where it is tracked.

    Attributes:
        folder: Folder of the run.
        loggers: "tensorboard" writes to `logs` in the folder, "mlflow" to its MLflow run; empty
            tracks nothing.
    """

    folder: Path
    loggers: Sequence[str]


@rank_zero_only
def check_loggers(run: TrackedRun) -> None:
    """Makes sure that figures will be taken, while nothing of an earlier run is touched yet.

    Raises:
        OSError: If MLflow cannot be reached or refuses.
    """
    if "mlflow" in run.loggers:
        mlflow_experiment(run.folder)


@rank_zero_only
def begin_tracking(run: TrackedRun, *, is_resumed: bool) -> None:
    """Records the environment, and writes it and config.yaml, if there is one, to a run's loggers.

    In MLflow settings become parameters, git revisions tags, and both files artifacts. Parameters
    cannot change there: what a resumed run changed becomes a tag `changed.NAME`.

    Args:
        run: The run, before its first step.
        is_resumed: Whether its MLflow run goes on; else a new one begins.

    Raises:
        OSError: If MLflow cannot be reached or refuses.
    """
    record_environment(run.folder, "training")
    if not is_resumed:
        (run.folder / RUN_ID).unlink(missing_ok=True)  # the earlier one stays with MLflow
    _track_settings(run)


@rank_zero_only
def track_outcome(run: TrackedRun, outcome: Outcome) -> None:
    """Writes figures and plots of a step, and the settings as they are now, to a run's loggers.

    Numbers that are not finite are left out, as are those in lists.

    Raises:
        OSError: If MLflow cannot be reached or refuses, or a file is missing.
    """
    _track_settings(run)
    found = flatten(json.loads(outcome.results.read_text(encoding="utf-8")), "/")
    figures = {
        f"{_allowed(outcome.name)}/{_allowed(name)}": float(value)
        for name, value in found.items()
        if UNTRACKED not in name.split("/")
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    }
    if "tensorboard" in run.loggers:
        with _replaced_events(run.folder, outcome.name) as writer:
            for name, value in figures.items():
                writer.add_scalar(name, value, 0)
            for plot in outcome.plots:
                picture = np.asarray(Image.open(plot).convert("RGB"))  # (H, W, 3)
                name = f"{_allowed(outcome.name)}/{_allowed(plot.stem)}"
                writer.add_image(name, picture, 0, dataformats="HWC")
    if "mlflow" in run.loggers:
        _outcome_to_mlflow(run, outcome, figures)


def save_outcome(run: TrackedRun, outcome: Outcome, results: DataclassInstance) -> None:
    """Writes results, the environment beside them, and both to the loggers of the run.

    Args:
        run: The run.
        outcome: The step; `outcome.results` is the file that is written.
        results: What is written, as JSON; NaN and infinity become null.

    Raises:
        OSError: If MLflow does not take the results, which are then saved.
    """
    environment = record_environment(outcome.results.parent, outcome.name)
    write_json(outcome.results, results)
    track_outcome(run, replace(outcome, files=[environment, *outcome.files]))


def _track_settings(run: TrackedRun) -> None:
    if "tensorboard" in run.loggers:
        with _replaced_events(run.folder, SETTINGS) as writer:
            for name in (CONFIG, ENVIRONMENT):
                if (run.folder / name).is_file():
                    text = (run.folder / name).read_text(encoding="utf-8")
                    writer.add_text(Path(name).stem, f"```\n{text}```")
    if "mlflow" in run.loggers:
        _settings_to_mlflow(run)


def _allowed(name: str) -> str:
    """Returns a name that both take, such as P_at_1 for P@1, image_title for image + title."""
    return re.sub(r"[^\w/.-]+", "_", name.replace("@", "_at_"))


@contextmanager
def _replaced_events(folder: Path, name: str) -> Iterator[SummaryWriter]:
    """Gives a writer whose file takes the place of the one that was written under the name."""
    suffix = "." + re.sub(r"\W", "-", name)
    for earlier in (folder / LOGS).glob(f"events.out.tfevents.*{suffix}"):
        earlier.unlink()
    with SummaryWriter(folder / LOGS, filename_suffix=suffix) as writer:
        yield writer


def _settings_to_mlflow(run: TrackedRun) -> None:
    folder, config = run.folder, run.folder / CONFIG
    settings = flat_texts(yaml.safe_load(config.read_text("utf-8"))) if config.is_file() else {}
    with mlflow_run(folder) as (client, run_id):
        from mlflow.entities import Param, RunTag

        earlier = client.get_run(run_id).data
        known = earlier.params
        new = [Param(name, value) for name, value in settings.items() if name not in known]
        tags = {
            f"changed.{name}": value
            for name, value in settings.items()
            if known.get(name, value) != value or f"changed.{name}" in earlier.tags
        }
        for step, environment in read_environments(folder).items():
            tags[f"git_revision.{step}"] = str(environment.get("git_revision", ""))
        client.log_batch(
            run_id, params=new, tags=[RunTag(name, value) for name, value in tags.items()]
        )
        for name in (CONFIG, ENVIRONMENT):
            if (folder / name).is_file():
                client.log_artifact(run_id, str(folder / name))


def _outcome_to_mlflow(run: TrackedRun, outcome: Outcome, figures: Mapping[str, float]) -> None:
    place = _allowed(outcome.name)
    with mlflow_run(run.folder) as (client, run_id):
        from mlflow.entities import Metric

        now_ms = time.time_ns() // 1_000_000
        metrics = [Metric(name, value, now_ms, 0) for name, value in figures.items()]
        client.log_batch(run_id, metrics=metrics)
        for path in (outcome.results, *outcome.files):
            client.log_artifact(run_id, str(path), place)
        for path in outcome.plots:
            client.log_artifact(run_id, str(path), f"{place}/plots")
        # Training ends its run by itself; one that began here is over now.
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_terminated(run_id)
