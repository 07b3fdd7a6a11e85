"""Which products are asked for: a tree of conditions, and what each says of one product."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from twinshelf.server.catalogue.product_record import ProductRecord

_LEVEL_MARKS = re.compile("[/>]")
_MOST_LEVELS = 64
CategoryPath = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """All of the conditions hold."""

    filters: tuple[ProductFilter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """At least one of the conditions holds."""

    filters: tuple[ProductFilter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneOf:
    """None of the conditions holds."""

    filters: tuple[ProductFilter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryUnder:
    """The category is one of some paths, or lies below one."""

    paths: frozenset[CategoryPath]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldIn:
    """A field has one of some values; an empty one stands for none."""

    field: Literal["brand", "seller", "category"]
    values: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBetween:
    """The price is known and lies in a range, both ends included."""

    least: float = -math.inf
    greatest: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeIn:
    """An attribute has one of some values; without values, it has any."""

    name: str
    values: frozenset[str]


ProductFilter = AllOf | AnyOf | NoneOf | CategoryUnder | FieldIn | PriceBetween | AttributeIn


def category_path(category: str) -> CategoryPath:
    """Returns the levels of a category, the highest first; what is empty is no level.

    Those below the 64th are left out: each level costs as much as all above it.
    """
    levels = (level for part in _LEVEL_MARKS.split(category) if (level := part.strip()))
    return tuple(islice(levels, _MOST_LEVELS))


def is_allowed(record: ProductRecord, condition: ProductFilter) -> bool:
    """Tells whether a condition holds for a product."""
    match condition:
        case AllOf():
            return all(is_allowed(record, each) for each in condition.filters)
        case AnyOf():
            return any(is_allowed(record, each) for each in condition.filters)
        case NoneOf():
            return not any(is_allowed(record, each) for each in condition.filters)
        case _:
            return _holds(record, condition)


def _holds(
    record: ProductRecord, condition: CategoryUnder | FieldIn | PriceBetween | AttributeIn
) -> bool:
    match condition:
        case CategoryUnder():
            path = category_path(record.category)
            return any(path[:length] in condition.paths for length in range(1, len(path) + 1))
        case FieldIn():
            return getattr(record, condition.field) in condition.values
        case PriceBetween():
            price = record.price
            return price is not None and condition.least <= price <= condition.greatest
        case AttributeIn():
            value = record.attributes.get(condition.name)
            return value is not None and (not condition.values or value in condition.values)
