"""The record as pair features read it, and its JSON form, in which Triton receives it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

TEXT_FIELDS = ("title", "description", "category", "brand")
FIELDS = (*TEXT_FIELDS, "price", "attributes")


class PairRecord(Protocol):
    """What features read of a record; `training.product.Product` is one."""

    @property
    def title(self) -> str:
        """Short text; where it has no word, all other text takes its place."""

    @property
    def description(self) -> str:
        """Long text; only the beginning of very long ones counts."""

    @property
    def category(self) -> str:
        """Travels with the record; no feature reads it."""

    @property
    def brand(self) -> str:
        """Compared by itself, and as part of all text."""

    @property
    def price(self) -> float | None:
        """Zero or more, compared as a ratio; None when unknown."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """Values of one name, in any case, agree or clash; all of them are text as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRecord:
    """A record that came as JSON; its fields are those of a product."""

    title: str = ""
    description: str = ""
    category: str = ""
    brand: str = ""
    price: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


def attribute_values(record: PairRecord) -> list[str]:
    """Returns the values of the attributes by name: a message to Triton has no other order."""
    return [value for _, value in sorted(record.attributes.items())]


def record_to_json(record: PairRecord) -> str:
    """Returns a record as a JSON object; fields that say nothing are left out."""
    values: dict[str, Any] = {name: getattr(record, name) for name in TEXT_FIELDS}
    values["attributes"] = dict(sorted(record.attributes.items()))
    values = {name: value for name, value in values.items() if value}
    if record.price is not None:
        values["price"] = record.price
    return json.dumps(values, ensure_ascii=False)


def record_from_json(text: str) -> ReceivedRecord:
    """Reads a record from a JSON object of `FIELDS`; all are optional, null is absent.

    Raises:
        ValueError: If it is no such object; the message says what was expected.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"must be a JSON object, got {type(values).__name__}")
    if unknown := sorted(set(values) - set(FIELDS)):
        raise ValueError(f"unknown field {unknown[0]!r}, known are {', '.join(FIELDS)}")
    given = {name: value for name, value in values.items() if value is not None}
    for name in TEXT_FIELDS:
        _check_text(name, given.get(name, ""))
    attributes = given.get("attributes", {})
    if not isinstance(attributes, dict):
        raise ValueError("attributes must be an object of texts")
    for name, value in attributes.items():
        _check_text("a name of attributes", name)
        _check_text(f"attribute {name!r}", value)
    _check_price(given.get("price", 0))
    return ReceivedRecord(**given)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a text, got {type(value).__name__}")
    if any("\ud800" <= sign <= "\udfff" for sign in value):  # halves of a character
        raise ValueError(f"{name} must be valid Unicode")


def _check_price(price: object) -> None:
    is_number = isinstance(price, int | float) and not isinstance(price, bool)
    # A chain of comparisons, because NaN fails it and a huge integer cannot become a float.
    if not is_number or not 0 <= price <= sys.float_info.max:  # type: ignore[operator]
        raise ValueError(f"price must be a number of zero or more, got {price!r:.40}")
