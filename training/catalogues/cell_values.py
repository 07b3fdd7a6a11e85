"""Values of cells: texts, prices, attributes and paths, from CSV and Parquet alike."""

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

    Raises:
        ValueError: If the cell holds anything but a number with a decimal point.
    """
    text = text_of(cell)
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"price must be a number of zero or more, got {text[:40]!r}") from None


def comma_price_of(cell: object) -> float | None:
    """Returns a price that may have blanks between thousands and a decimal comma: "12 990,50".

    Raises:
        ValueError: If the cell holds anything else.
    """
    return price_of(re.sub(r"\s", "", text_of(cell)).replace(",", "."))


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


def scalar_attributes_of(cell: object) -> dict[str, str]:
    """Returns attributes of a JSON object, or of Parquet's own map or record; null is left out.

    Raises:
        ValueError: If the cell holds anything else, or one of its values is an object or a list.
    """
    if isinstance(cell, str):
        if not cell.strip():
            return {}
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            cell = None
        if not isinstance(cell, dict):
            raise ValueError("attributes must be a JSON object of strings")
    if cell is None or text_of(cell) == "":
        return {}
    pairs = cell.items() if isinstance(cell, dict) else _pairs_of(cell)
    attributes = {}
    for name, value in pairs:
        if isinstance(value, (dict, list)):
            raise ValueError(f"attribute {str(name)[:40]!r} must be a string, got {value!r:.40}")
        if value is not None:
            attributes[str(name)] = str(value).lower() if isinstance(value, bool) else str(value)
    return attributes


def paths_of(cell: object) -> list[str]:
    """Returns the paths of a list, of a JSON list, or of a text with ";" between them.

    Raises:
        ValueError: If the cell holds anything else.
    """
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            raise ValueError("images must be a JSON list or paths separated by ';'") from None
    if isinstance(cell, list):
        if not all(isinstance(name, str) and name for name in cell):
            raise ValueError("images must be a JSON list of paths")
        names = cell
    else:
        names = [name.strip() for name in text_of(cell).split(";")]
    if any("\0" in name for name in names):
        raise ValueError("images must be paths; one holds a zero byte")
    return [name for name in names if name]


def texts_of(value: object) -> list[str]:
    """Returns the non-empty texts of a list, or of a single value."""
    items: Iterable[object] = value if isinstance(value, (list, tuple)) else [value]
    return [text for text in map(text_of, items) if text]


def _parse(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:  # some sets print Python's own notation
        return ast.literal_eval(text)


def _pairs_of(cell: object) -> list[tuple[object, object]]:
    """Reads a Parquet map, which arrives as a list of pairs."""
    if isinstance(cell, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in cell):
        return cell
    raise ValueError("attributes must be a JSON object of strings")
