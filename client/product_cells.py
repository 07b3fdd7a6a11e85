"""Cells of a product file: texts from CSV, any type from Parquet, read as what a product needs.

Every function raises ValueError, with what was expected, when it cannot read its cell.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

# Far above what the service embeds (16 MiB unless told otherwise), yet below what ends its stream.
LARGEST_PHOTO_BYTES = 32 * 1024 * 1024


def read_text(value: Any) -> str:
    """Reads a text; an absent one is empty.

    Args:
        value: The cell.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers with gaps comes as floats
    return str(value).strip()


def read_price(value: Any) -> float | None:
    """Reads a price, zero or more; None when absent.

    Args:
        value: The cell.

    Raises:
        ValueError: If it is no such number.
    """
    text = read_text(value)
    if not text:
        return None
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if not (math.isfinite(price) and price >= 0):
        raise ValueError(f"price must be a number, zero or more, got {text[:40]!r}")
    return price


def read_attributes(value: Any) -> dict[str, str]:
    """Reads attributes: a JSON object in a text, or Parquet's own map or record.

    Args:
        value: The cell.

    Raises:
        ValueError: If it is neither, or a value in it is an object or a list.
    """
    if isinstance(value, str) and value.strip():
        value = _read_json(value)
    elif isinstance(value, list):
        # How Parquet's map arrives: a list of pairs.
        is_map = all(isinstance(pair, tuple) and len(pair) == 2 for pair in value)
        value = dict(value) if is_map else None
    elif not isinstance(value, dict) and read_text(value) == "":
        value = {}
    if not isinstance(value, dict):
        raise ValueError('attributes must be a JSON object such as {"volume": "500 ml"}')
    attributes = {}
    for name, each in value.items():
        if isinstance(each, (dict, list)):
            raise ValueError(f"attribute {str(name)[:40]!r} must be a text, got {each!r:.40}")
        if each is not None:
            attributes[str(name)] = str(each).lower() if isinstance(each, bool) else str(each)
    return attributes


def read_images(value: Any) -> list[str]:
    """Reads the paths of photos: a JSON list, Parquet's own list, or paths with ";" between.

    Args:
        value: The cell.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        names = _read_json(value)
    elif isinstance(value, list):
        names = value
    else:
        names = [name.strip() for name in read_text(value).split(";")]
        names = [name for name in names if name]
    if not (isinstance(names, list) and all(isinstance(name, str) and name for name in names)):
        raise ValueError('images must be a JSON list of paths, or paths with ";" between')
    if any("\0" in name for name in names):
        raise ValueError("images must be paths; one holds a zero byte")
    return names


def read_photo(path: Path) -> bytes:
    """Reads a photo's file.

    Args:
        path: The file.

    Raises:
        ValueError: If it is missing, unreadable, empty or too large.
    """
    try:
        if path.stat().st_size > LARGEST_PHOTO_BYTES:
            limit_mib = LARGEST_PHOTO_BYTES // (1024 * 1024)
            raise ValueError(f"the photo {path} is larger than {limit_mib} MiB")
        photo = path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"there is no photo {path}") from None
    except OSError as error:
        raise ValueError(f"the photo {path} cannot be read: {error.strerror}") from None
    if not photo:
        raise ValueError(f"the photo {path} is empty")
    return photo


def _read_json(text: str) -> Any:
    """Reads JSON; None for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
