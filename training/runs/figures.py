"""Figures of a run: results as JSON, text and tables, and nested values under one name each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ABSENT = "–"


def results_to_json(results: DataclassInstance) -> str:
    """Returns results as a JSON object; NaN and infinity become null."""
    return json.dumps(_finite(asdict(results)), indent=2, ensure_ascii=False) + "\n"


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

    Args:
        title: Stands above the table.
        columns: Names of all columns.
        rows: Name of a row to its other cells.
        caption: Stands below the table.
    """
    table = Table(title=title, caption=caption)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left")
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


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
