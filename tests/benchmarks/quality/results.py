"""What was measured of a task, as JSON and as a table in Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

TABLE_HEADER = ("task", "data", "reference", "reach", "ours", "reached", "command")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One figure, beside what it is compared with.

    Attributes:
        task: What was asked of the model.
        data: On what.
        reference: What it is compared with, as a sentence.
        reach: What it is to come to, 0 to 1.
        value: What it came to, 0 to 1.
        low: Lower end of its interval; None without one.
        high: Upper end.
        note: How it was measured, where that needs to be said.
    """

    task: str
    data: str
    reference: str
    reach: float
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether the figure is as high as wanted."""
        return self.value >= self.reach


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What a row of the table came to.

    Attributes:
        row: Name of the row.
        command: The command that repeats it.
        steps: The commands that it ran.
        measurements: Its figures.
        measured_at: Time in UTC, ISO 8601.
        git_revision: Commit of the sources; empty outside of a git checkout.
        hardware: What it ran on.
        training_s: Seconds of the training; None when it was not done here.
    """

    row: str
    command: str
    steps: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    measured_at: str
    git_revision: str
    hardware: str
    training_s: float | None

    def to_json(self) -> str:
        """Returns the result as a JSON object; NaN becomes null."""
        return json.dumps(_plain(asdict(self)), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: If it is not such an object.
        """
        try:
            values = json.loads(text)
            parts = values.pop("measurements")
            measurements = tuple(
                Measurement(**part | {"value": _number(part["value"])}) for part in parts
            )
            steps = tuple(values.pop("steps"))
            return cls(measurements=measurements, steps=steps, **values)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the result of a row: {error!r}") from error


def markdown_table(results: Sequence[RowResult]) -> str:
    """Returns the table of all figures, with what they were measured on and how under it."""
    lines = [_line(TABLE_HEADER), _line(["---"] * len(TABLE_HEADER))]
    notes: list[str] = []
    for result in results:
        for figure in result.measurements:
            mark = _mark(figure.note, notes)
            cells = (figure.task, figure.data, figure.reference, f"{figure.reach:.3f}",
                     f"**{format_value(figure)}**{mark}", "yes" if figure.is_reached else "no",
                     f"`{result.command}`")  # fmt: skip
            lines.append(_line(cells))
    lines.append("")
    lines += [f"{number}. {note}" for number, note in enumerate(notes, start=1)]
    if notes:
        lines.append("")
    for result in results:
        took = f", trained in {result.training_s / 60:.1f} minutes" if result.training_s else ""
        lines.append(
            f"- {result.row}: {result.measured_at[:10]}, commit "
            f"{result.git_revision[:10] or 'unknown'}, {result.hardware}{took}"
        )
    return "\n".join(lines) + "\n"


def format_value(figure: Measurement) -> str:
    """Returns the value with its interval, where it has one."""
    if math.isnan(figure.value):
        return "–"
    if figure.low is None or figure.high is None or math.isnan(figure.low + figure.high):
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f}–{figure.high:.3f})"


def _mark(note: str, notes: list[str]) -> str:
    if not note:
        return ""
    if note not in notes:
        notes.append(note)
    return f" ({notes.index(note) + 1})"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
