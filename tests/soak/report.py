"""What the tools leave behind: a table of 80 columns on the screen, JSON in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

WIDTH = 80


def quantile_ms(latencies_s: Sequence[float], share: float) -> float | None:
    """Returns a quantile of latencies in milliseconds; None when there are none."""
    if not latencies_s:
        return None
    return round(float(np.quantile(np.asarray(latencies_s), share)) * 1000, 2)


def table(title: str, names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Returns a table of 80 columns at most; numbers are rounded to what can be read."""
    drawn = Table(title=title, box=None, pad_edge=False, title_justify="left")
    for place, name in enumerate(names):
        drawn.add_column(name, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    console = Console(width=WIDTH, highlight=False, no_color=True)
    with console.capture() as capture:
        console.print(drawn)
    return capture.get()


def save(folder: Path, name: str, document: Mapping[str, Any]) -> Path:
    """Writes a report as JSON; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def say(text: str) -> None:
    """Prints a line, or a table."""
    Console(width=WIDTH, highlight=False, markup=False, soft_wrap=True).print(text)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)
