"""Figures of a run: as text and as tables, and nested values under one name each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

ABSENT = "–"


def figure_text(value: float) -> str:
    """Returns a figure to three decimals; a dash for NaN."""
    return ABSENT if math.isnan(value) else f"{value:.3f}"


def figure_table(
    title: str,
    columns: Sequence[str],
    rows: Mapping[str, Iterable[RenderableType]],
    *,
    caption: str | None = None,
) -> Table:
    """Returns a table: the first column names the rows, the others are aligned to the right.

    What is too long for its column goes on in the next line.

    Args:
        title: Stands above the table.
        columns: Names of all columns.
        rows: Name of a row to its other cells.
        caption: Stands below the table.
    """
    table = Table(title=title, caption=caption)
    for number, name in enumerate(columns):
        table.add_column(Text(name), justify="right" if number else "left", overflow="fold")
    for name, cells in rows.items():
        table.add_row(Text(name), *cells)
    return table


def flatten(value: Any, separator: str = ".", prefix: str = "") -> dict[str, Any]:
    """Returns nested mappings as one, their keys joined; an empty mapping leaves nothing.

    Args:
        value: A mapping; lists stay as they are. Anything else counts as an empty mapping.
        separator: Stands between the keys.
        prefix: Name of the value itself; "" for none.
    """
    if not isinstance(value, dict):
        return {prefix: value} if prefix else {}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{separator}{key}" if prefix else str(key)
        flat.update(flatten(item, separator, name))
    return flat


def flat_texts(value: Any) -> dict[str, str]:
    """Returns nested mappings as one of texts: what is no text, or an empty one, as JSON."""
    return {
        name: item if item and isinstance(item, str) else json.dumps(item, ensure_ascii=False)
        for name, item in flatten(value).items()
    }
