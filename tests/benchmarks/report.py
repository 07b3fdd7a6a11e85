"""What every benchmark leaves: tables for a person, and one JSON file with machine and versions."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.benchmarks.machine import Machine, describe_machine

FOLDER = Path(".cache/bench")
Value = str | int | float | None
Row = Mapping[str, Value]


class AnswersDifferError(Exception):
    """The sides of a benchmark do not do the same: their times cannot be compared."""


@dataclass(slots=True, kw_only=True)
class Report:
    """The results of one benchmark.

    Attributes:
        name: Name of the benchmark.
        machine: What it ran on.
        tables: Rows by the title of their table.
    """

    name: str
    machine: Machine = field(default_factory=describe_machine)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    _console: Console = field(
        default_factory=lambda: Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    )

    def say(self, text: str) -> None:
        """Prints a line."""
        self._console.print(text, soft_wrap=True, markup=False)

    def add(self, title: str, rows: Sequence[Row]) -> None:
        """Keeps a table and prints it; its columns are the keys of all rows."""
        self.tables[title] = list(rows)
        columns = list(dict.fromkeys(key for row in rows for key in row))
        table = Table(title=escape(title), title_justify="left", box=None)
        for column in columns:
            is_text = any(isinstance(row.get(column), str) for row in rows)
            table.add_column(escape(column), justify="left" if is_text else "right")
        for row in rows:
            table.add_row(*(escape(_cell(row.get(column))) for column in columns))
        self._console.print(table)

    def save(self, folder: Path = FOLDER) -> Path:
        """Writes all tables to NAME.json in a folder; returns its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        content = {
            "benchmark": self.name,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": asdict(self.machine),
            "tables": self.tables,
        }
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        self.say(f"saved in {path}")
        return path


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else value
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
