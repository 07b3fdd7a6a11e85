"""Which products may match: a tree of conditions, and the short text of one on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

_CONDITION = re.compile(r"(?P<field>[^=!<>]+)(?P<mark>!=|>=|<=|=|<|>)(?P<value>.*)", re.DOTALL)
Field = Literal["category", "brand", "seller"]
_FIELDS: tuple[Field, ...] = get_args(Field)
_GREATEST_COUNT = 2**31 - 1
EXAMPLES = "category=Grocery/Coffee, seller!=acme|globex, price<=10, attributes.colour=red"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """All of the conditions hold (and).

    Attributes:
        filters: 1 or more.
    """

    filters: tuple[ProductFilter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """At least one of the conditions holds (or).

    Attributes:
        filters: 1 or more.
    """

    filters: tuple[ProductFilter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneOf:
    """None of the conditions holds (not, not in).

    Attributes:
        filters: 1 or more.
    """

    filters: tuple[ProductFilter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldIn:
    """A field has one of some values.

    Attributes:
        field: Which one. A category also lies below one of the values: Grocery/Coffee takes
            Grocery/Coffee/Beans.
        values: 1 or more; an empty one takes products without a brand or a seller.
    """

    field: Field
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        """Checks field and values.

        Raises:
            ValueError: If the field is another, or the values are a text.
        """
        if self.field not in _FIELDS:
            raise ValueError(f"field must be one of {', '.join(_FIELDS)}, got {self.field!r}")
        _check_values(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBetween:
    """The price is known and lies in a range, both ends included.

    Attributes:
        least: In the catalogue's own currency; None for no bound.
        greatest: Not below `least`; None for no bound.
    """

    least: float | None = None
    greatest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeIn:
    """An attribute has one of some values.

    Attributes:
        name: Of the attribute.
        values: None takes any value.
    """

    name: str
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ValueError: If they are a text.
        """
        _check_values(self.values)


ProductFilter = AllOf | AnyOf | NoneOf | FieldIn | PriceBetween | AttributeIn


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterPlan:
    """How a filtered search was done.

    Attributes:
        search: "exact" looked at every allowed product, "graph" had the index propose candidates.
        allowed_count: Products that the filter allows.
    """

    search: Literal["exact", "graph"]
    allowed_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLimit:
    """At most so many matches that share a value; products without a value are not limited.

    Attributes:
        field: "seller", "brand", "category", or "attributes." and the name of an attribute.
        match_count: Most matches of a value, 1 or more.
    """

    field: str
    match_count: int


def _check_values(values: tuple[str, ...]) -> None:
    if isinstance(values, str):
        raise ValueError(f"values must be a tuple of texts, got the text {values!r}")


def read_value_limit(text: str) -> ValueLimit:
    """Reads a limit such as "seller=2".

    Raises:
        ValueError: If the text is none.
    """
    field, _, count = text.rpartition("=")
    # More digits than that no message can hold.
    if not (field and count.isdecimal() and 1 <= int(count[:11]) <= _GREATEST_COUNT):
        raise ValueError(f"must look like seller=2, got {text!r}")
    return ValueLimit(field=field, match_count=int(count))


def read_condition(text: str) -> ProductFilter:
    """Reads one condition, such as "seller!=acme|globex"; "|" parts values of which any will do.

    Raises:
        ValueError: If the text is none.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ValueError(f"must look like {EXAMPLES}; got {text!r}")
    field, mark, value = (part.strip() for part in found.group("field", "mark", "value"))
    if field == "price":
        return _read_price(mark, value)
    values = tuple(each.strip() for each in value.split("|"))
    name = field.removeprefix("attributes.").strip()
    condition: ProductFilter
    if field in _FIELDS:
        condition = FieldIn(field=field, values=values)
    elif field.startswith("attributes.") and name:
        condition = AttributeIn(name=name, values=values)
    else:
        raise ValueError(
            f"a filter must be of {', '.join(_FIELDS)}, price or attributes.NAME, such as "
            f"{EXAMPLES}; got {text!r}"
        )
    if mark not in ("=", "!="):
        raise ValueError(f"<= and >= are for price, = and != for all else; got {text!r}")
    return NoneOf(filters=(condition,)) if mark == "!=" else condition


def _read_price(mark: str, value: str) -> PriceBetween:
    if mark not in ("<=", ">="):
        raise ValueError(
            f"a price must be compared by <= or >=, which take their bound in, not by {mark}"
        )
    try:
        price = float(value)
    except ValueError:
        raise ValueError(f"a price must be a number, got {value!r}") from None
    return PriceBetween(least=price) if mark == ">=" else PriceBetween(greatest=price)
