"""Runs side by side: where their configurations differ, and what each came to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from twinshelf.training.checkpoint import CONFIG
from twinshelf.training.runs.environment import read_environments
from twinshelf.training.runs.figures import ABSENT, figure_table, figure_text, flat_texts, flatten

METRICS = "metrics.json"
EVALUATION = "evaluation.json"
PAIRS = "pairs.json"
# What says where and when a run was made, not what it does.
UNCOMPARED = ["output", "resume", "recorded_at"]
QUALITIES = ("pair_average_precision", "category_f1",
             "held_out.worlds.open.first.error.value", "held_out.matches.precision",
             "held_out.matches.recall", "held_out.pairs.f1", "held_out.row_f1.value")  # fmt: skip
LOWER_IS_BETTER = ("first.error.value", "duration_s")
NEITHER_IS_BETTER = ("_count", "fusion_weight", "threshold")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What a run left in its folder.

    Attributes:
        name: Name of its folder.
        settings: Dotted name to value, of config.yaml.
        figures: Name to number; NaN where there is none.
        environment: Name to value, of the last step recorded.
    """

    name: str
    settings: Mapping[str, str]
    figures: Mapping[str, float]
    environment: Mapping[str, str]


def read_run(folder: Path) -> RunRecord:
    """Reads what a run left; metrics, evaluation and environment may be missing.

    Raises:
        FileNotFoundError: If the folder is not that of a run.
        ValueError: If one of its files cannot be read.
    """
    folder = Path(folder)
    config = folder / CONFIG
    if not config.is_file():
        raise FileNotFoundError(f"no {CONFIG} in {folder}: it is not the folder of a run")
    try:
        settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{config} cannot be read: {error}") from error
    training = {
        f"validation {name}": _as_number(value)
        for name, value in flatten(_read_json(folder / METRICS)).items()
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    }
    evaluation = _read_json(folder / EVALUATION)
    environments = read_environments(folder)
    latest = max(environments.values(), key=lambda e: str(e.get("recorded_at", "")), default={})
    return RunRecord(
        name=folder.resolve().name,
        settings=flat_texts(settings),
        figures={
            **training,
            **_evaluated(evaluation),
            **_predicted_categories(folder),
            **_scored_pairs(folder),
        },
        environment=flat_texts(latest),
    )


def comparison_tables(runs: Sequence[RunRecord]) -> RenderableType:
    """Returns differing settings, figures and differing environments, one column per run.

    Raises:
        ValueError: If there is no run.
    """
    if not runs:
        raise ValueError("a comparison needs at least one run, got none")
    return Group(
        _table("Settings that differ", runs, _differing([run.settings for run in runs])),
        _table("Figures", runs, _marked([run.figures for run in runs])),
        _table("Environments that differ", runs, _differing([run.environment for run in runs])),
    )


def best_columns(name: str, values: Sequence[float]) -> set[int]:
    """Returns which runs have the best value of a figure; none where all are equal.

    Args:
        name: Name of the figure: errors and durations are better when lower, counts are neither.
        values: Value per run; NaN for none.
    """
    known = [value for value in values if not math.isnan(value)]
    if name.endswith(NEITHER_IS_BETTER) or len(set(known)) < 2:
        return set()
    best = min(known) if name.endswith(LOWER_IS_BETTER) else max(known)
    return {column for column, value in enumerate(values) if value == best}


def _table(title: str, runs: Sequence[RunRecord], rows: Mapping[str, Sequence[Text]]) -> Table:
    columns = ("name", *(run.name for run in runs))
    return figure_table(title, columns, rows, caption=None if rows else "none")


def _differing(columns: Sequence[Mapping[str, str]]) -> dict[str, list[Text]]:
    compared = pd.DataFrame(columns).drop(columns=UNCOMPARED, errors="ignore")
    rows = compared.fillna(ABSENT).to_dict("list")
    return {str(name): list(map(Text, row)) for name, row in rows.items() if len(set(row)) > 1}


def _marked(columns: Sequence[Mapping[str, float]]) -> dict[str, list[Text]]:
    """Returns figures as cells; the best of each row is bold."""
    rows = {}
    for name, values in pd.DataFrame(columns).to_dict("list").items():
        best = best_columns(str(name), values)
        rows[str(name)] = [
            Text(_number(value), style="bold" if column in best else "")
            for column, value in enumerate(values)
        ]
    return rows


def _number(value: float) -> str:
    is_count = not math.isnan(value) and value == int(value) and abs(value) > 1
    return str(int(value)) if is_count else figure_text(value)


def _read_json(path: Path) -> Any:
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _evaluated(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """Picks the figures of an evaluation: every retrieval metric, and what thresholds are worth."""
    figures: dict[str, float] = {}
    for pattern, values in evaluation.get("patterns", {}).items():
        for metric, estimate in values.get("metrics", {}).items():
            figures[f"{pattern} {metric}"] = _as_number(estimate.get("value"))
        flat = flatten(values)
        for quality in QUALITIES:
            if quality in flat:
                figures[f"{pattern} {quality}"] = _as_number(flat[quality])
    return figures


def _predicted_categories(folder: Path) -> dict[str, float]:
    """Picks the weighted F1 of `training.categories`, per label, pattern and method."""
    figures = {}
    for path in sorted(folder.glob("categories/*/categories.json")):
        for pattern, methods in _read_json(path).get("patterns", {}).items():
            for method, values in methods.items():
                name = f"{pattern} {path.parent.name} {method} weighted_f1"
                figures[name] = _as_number(values["reported"]["weighted_f1"])
    return figures


def _scored_pairs(folder: Path) -> dict[str, float]:
    """Picks what a pair scorer came to: each variant in validation, what was kept elsewhere."""
    found = {"validation": _read_json(folder / PAIRS).get("validation", {})}
    found |= {path.stem: _read_json(path) for path in sorted(folder.glob("evaluation-*.json"))}
    return {name: _as_number(value) for name, value in flatten(found, " ").items()}


def _as_number(value: float | None) -> float:
    return math.nan if value is None else float(value)
