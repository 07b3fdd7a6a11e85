"""A row of the table: its commands, and how its figures are read from what they wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.quality.places import Command
from tests.benchmarks.quality.results import Measurement
from twinshelf.training.evaluation.intervals import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row: data to tables, tables to a run, a run to figures.

    Attributes:
        name: Name of the row.
        run: Folder of its run.
        sources: Files and folders that it reads.
        prepare: Commands that make tables; empty where the data need none.
        train: Command that trains.
        evaluate: Commands that evaluate.
        read: Reads the figures from what these wrote.
    """

    name: str
    run: Path
    sources: tuple[Path, ...]
    train: Command
    evaluate: tuple[Command, ...]
    read: Callable[[], tuple[Measurement, ...]]
    prepare: tuple[Command, ...] = ()

    @property
    def steps(self) -> tuple[Command, ...]:
        """All commands in their order."""
        return (*self.prepare, self.train, *self.evaluate)


def read_values(path: Path, *keys: str) -> Mapping[str, Any]:
    """Returns an object inside of a JSON file.

    Raises:
        ValueError: If the file has no such object.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            raise ValueError(f"{path} has no {'.'.join(keys)}")
        values = values[key]
    if not isinstance(values, dict):
        raise ValueError(f"{path}: {'.'.join(keys)} must be an object")
    return values


def read_estimate(path: Path, *keys: str) -> Estimate:
    """Returns an estimate inside of a JSON file; NaN for what is null there.

    Raises:
        ValueError: If the file has no such estimate.
    """
    found = read_values(path, *keys)
    try:
        value, low, high = (
            float("nan") if found[name] is None else float(found[name])
            for name in ("value", "low", "high")
        )
    except KeyError as error:
        raise ValueError(f"{path}: {'.'.join(keys)} has no {error}") from error
    return Estimate(value=value, low=low, high=high)


def require(paths: Sequence[Path]) -> None:
    """Checks that files and folders are there.

    Raises:
        FileNotFoundError: If one is missing.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"no {path}")
