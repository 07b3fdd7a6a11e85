"""Runs a row: tables, training unless an equal one is there, evaluation, figures."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.quality.matching_rows import MATCHING_ROWS
from training.quality.pair_rows import PAIR_ROWS
from training.quality.places import Command, Places
from training.quality.results import RowResult, markdown_table
from training.quality.row import Row, require
from training.quality.stamps import digest_inputs, is_stamped, remove_stamp, write_stamp
from training.runs.environment import describe_environment
from training.whole_file import write_whole

ROWS: dict[str, Callable[[Places], Row]] = {**MATCHING_ROWS, **PAIR_ROWS}
RESULT = "quality.json"
TABLE = "quality.md"
_DURATION = "quality_training_s.txt"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How rows are run.

    Attributes:
        trains: Whether runs are trained; False judges those that are there, as they are.
        forces: Whether a training is repeated although nothing changed.
        execute: Runs a command.
    """

    trains: bool = True
    forces: bool = False
    execute: Callable[[Command], None] = Command.run


def run_row(row: Row, places: Places, conduct: Conduct) -> RowResult:
    """Runs a row and saves its result in its run's folder.

    Raises:
        FileNotFoundError: If the data, the weights or the run to be judged are missing.
        RuntimeError: If a command ends with an error.
        ValueError: If a command wrote no figure.
    """
    require(row.sources)
    for command in row.prepare:
        _execute(command, conduct)
    if conduct.trains:
        _train(row, places, conduct)
    require([row.run / row.trained])
    for command in row.judge:
        _execute(command, conduct)
    environment = describe_environment()
    result = RowResult(
        row=row.name,
        command=f"python -m training.quality --data-root $DATA_ROOT --rows {row.name}",
        steps=tuple(places.shorten(command.text) for command in row.steps),
        measurements=row.read(),
        measured_at=environment.recorded_at,
        git_revision=environment.git_revision,
        hardware=", ".join((f"{environment.cpu_count} CPU cores", *environment.gpus)),
        training_s=_read_duration(row.run),
    )
    write_whole(row.run / RESULT, result.to_json())
    return result


def collect_results(output: Path) -> list[RowResult]:
    """Returns the newest results of all rows, in the order of the table."""
    paths = [output / name / RESULT for name in ROWS]
    return [RowResult.from_json(p.read_text(encoding="utf-8")) for p in paths if p.is_file()]


def save_table(output: Path, results: Sequence[RowResult]) -> None:
    """Writes quality.json and quality.md of the rows that have a result."""
    parts = [result.to_json().strip() for result in results]
    write_whole(output / RESULT, "[\n" + ",\n".join(parts) + "\n]\n")
    write_whole(output / TABLE, markdown_table(results))


def _train(row: Row, places: Places, conduct: Conduct) -> None:
    inputs = digest_inputs([places.shorten(row.train.text)], [*row.sources, *row.recipe])
    if (row.run / row.trained).is_file() and is_stamped(row.run, inputs) and not conduct.forces:
        logger.info("%s: trained already, nothing changed", row.name)
        return
    remove_stamp(row.run)
    start_s = time.perf_counter()
    _execute(row.train, conduct)
    write_whole(row.run / _DURATION, f"{time.perf_counter() - start_s:.1f}\n")
    write_stamp(row.run, inputs)


def _read_duration(run: Path) -> float | None:
    try:
        return float((run / _DURATION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _execute(command: Command, conduct: Conduct) -> None:
    logger.info("$ %s", command.text)
    conduct.execute(command)
