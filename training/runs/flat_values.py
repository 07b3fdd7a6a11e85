"""Nested values, as JSON and YAML give them, under one name each."""

from __future__ import annotations

from typing import Any


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
