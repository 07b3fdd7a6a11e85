"""Runs a row: tables, training unless an equal one is there, evaluation, figures."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.quality.matching_rows import MATCHING_ROWS
from tests.benchmarks.quality.pair_rows import PAIR_ROWS
from tests.benchmarks.quality.places import Command, Places
from tests.benchmarks.quality.results import RowResult, markdown_table
from tests.benchmarks.quality.row import Row, require
from twinshelf.training.files import Step, write_atomically
from twinshelf.training.runs.environment import describe_environment

ROWS: dict[str, Callable[[Places], Row]] = {**MATCHING_ROWS, **PAIR_ROWS}
RESULT = "quality.json"
TABLE = "quality.md"
_DURATION = "quality_training_s.txt"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How rows are run.

    Attributes:
        trains: Whether runs are trained; False evaluates those that are there, as they are.
        forces: Whether tables and trainings are made again although nothing changed.
        execute: Runs a command.
    """

    trains: bool = True
    forces: bool = False
    execute: Callable[[Command], None] = Command.run


def run_row(row: Row, places: Places, conduct: Conduct) -> RowResult:
    """Runs a row and saves its result in its run's folder.

    Raises:
        FileNotFoundError: If the data, the weights or the run to be evaluated are missing.
        RuntimeError: If a command ends with an error.
        ValueError: If a command wrote no figure.
    """
    require(row.sources)
    tables: tuple[Path, ...] = ()
    for command in row.prepare:
        _make(command, places, conduct, inputs=(*row.sources, *tables))
        tables += command.makes
    if conduct.trains:
        _train(row, places, conduct, inputs=(*row.sources, *tables))
    require(row.train.makes)
    for command in row.evaluate:
        _execute(command, conduct)
    environment = describe_environment()
    result = RowResult(
        row=row.name,
        command=f"python -m tests.benchmarks.quality --data-root $DATA_ROOT --rows {row.name}",
        steps=tuple(places.shorten(command.text) for command in row.steps),
        measurements=row.read(),
        measured_at=environment["recorded_at"],
        git_revision=environment["git_revision"],
        hardware=", ".join((f"{environment['cpu_count']} CPU cores", *environment["gpus"])),
        training_s=_read_duration(row.run),
    )
    write_atomically(row.run / RESULT, result.to_json())
    return result


def collect_results(output: Path) -> list[RowResult]:
    """Returns the newest results of all rows, in the order of the table."""
    paths = [output / name / RESULT for name in ROWS]
    return [RowResult.from_json(p.read_text(encoding="utf-8")) for p in paths if p.is_file()]


def save_table(output: Path, results: Sequence[RowResult]) -> None:
    """Writes quality.json and quality.md of the rows that have a result."""
    parts = [result.to_json().strip() for result in results]
    write_atomically(output / RESULT, "[\n" + ",\n".join(parts) + "\n]\n")
    write_atomically(output / TABLE, markdown_table(results))


def _train(row: Row, places: Places, conduct: Conduct, inputs: tuple[Path, ...]) -> None:
    start_s = time.perf_counter()
    if _make(row.train, places, conduct, inputs=inputs):
        write_atomically(row.run / _DURATION, f"{time.perf_counter() - start_s:.1f}\n")


def _make(command: Command, places: Places, conduct: Conduct, inputs: tuple[Path, ...]) -> bool:
    """Runs a command unless what it makes is there, of the same code, options and inputs."""
    step = Step(
        name=command.module.rpartition(".")[2],
        module=command.module,
        # Where the data lie decides nothing.
        options=(places.shorten(command.text),),
        inputs=inputs,
        outputs=command.makes,
    )
    if step.is_done() and not conduct.forces:
        logger.info("unchanged: %s", command.text)
        return False
    with step.stamped():
        _execute(command, conduct)
    return True


def _read_duration(run: Path) -> float | None:
    try:
        return float((run / _DURATION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _execute(command: Command, conduct: Conduct) -> None:
    logger.info("$ %s", command.text)
    conduct.execute(command)
