"""Values of cells: texts, prices and nested objects, from CSV and Parquet alike."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Mapping


def text_of(cell: object) -> str:
    """Returns a cell as trimmed text: "" when absent or NaN, "7" for 7.0."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        if math.isnan(cell):
            return ""
        if cell.is_integer():  # identifiers that a table program turned into floats
            return str(int(cell))
    return str(cell).strip()


def price_of(cell: object) -> float | None:
    """Returns a price, None when the cell is empty.

    Blanks between thousands and a decimal comma are understood: "12 990,50".

    Raises:
        ValueError: If the cell holds anything else.
    """
    text = re.sub(r"\s", "", text_of(cell)).replace(",", ".")
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"price must be a number of zero or more, got {text[:40]!r}") from None


def object_of(cell: object) -> dict[str, object]:
    """Returns a nested object: a mapping, JSON, or a Python literal; {} when the cell is empty.

    Raises:
        ValueError: If the cell holds anything else.
    """
    if isinstance(cell, Mapping):
        return {str(name): value for name, value in cell.items()}
    text = text_of(cell)
    if not text:
        return {}
    try:
        value = _parse(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"must be a JSON object, got {text[:40]!r}")
    return {str(name): value for name, value in value.items()}


def attributes_of(values: Mapping[str, object]) -> dict[str, str]:
    """Returns attributes as texts: lists joined by ", ", empty ones left out."""
    attributes = {}
    for name, value in values.items():
        text = ", ".join(texts_of(value))
        if name.strip() and text:
            attributes[name.strip()] = text
    return attributes


def texts_of(value: object) -> list[str]:
    """Returns the non-empty texts of a list, or of a single value."""
    items: Iterable[object] = value if isinstance(value, (list, tuple)) else [value]
    return [text for text in map(text_of, items) if text]


def _parse(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:  # some sets print Python's own notation
        return ast.literal_eval(text)
