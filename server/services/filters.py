"""Which products a request lets match: its filter, what it excludes, and its limit of values."""

from __future__ import annotations

import math
from collections.abc import Sequence

from twinshelf.server.catalogue.facets.facet_table import FIELDS
from twinshelf.server.catalogue.product_filter import (
    AllOf,
    AnyOf,
    AttributeIn,
    CategoryUnder,
    FieldIn,
    NoneOf,
    PriceBetween,
    ProductFilter,
    category_path,
)
from twinshelf.server.catalogue.ranking import ValueLimit
from twinshelf.server.errors import InvalidRequestError
from twinshelf.v1 import filter_pb2, matching_service_pb2

DEPTH_LIMIT = 8
CONDITION_LIMIT = 100
VALUE_LIMIT = 1000
EXCLUSION_LIMIT = 100
BYTES_LIMIT = 256 * 1024
_NAME_LIMIT = 1024


def read_filter(message: filter_pb2.Filter, path: str) -> ProductFilter:
    """Checks a filter.

    Args:
        message: The filter.
        path: Its path in the request, for the fields of errors.

    Raises:
        InvalidRequestError: If it is too large, or a part says nothing; the part is named.
    """
    if message.ByteSize() > BYTES_LIMIT:
        raise _refusal(
            f"a filter must have at most {BYTES_LIMIT} bytes, got {message.ByteSize()}", path
        )
    return _FilterReader().read(message, path, 1)


def read_excluded_ids(product_ids: Sequence[str], path: str) -> tuple[str, ...]:
    """Checks the products that must not match.

    Raises:
        InvalidRequestError: If they are too many.
    """
    if len(product_ids) > EXCLUSION_LIMIT:
        raise _refusal(
            f"excluded_product_ids must be at most {EXCLUSION_LIMIT}, got {len(product_ids)}", path
        )
    return tuple(product_ids)


def read_value_limit(message: matching_service_pb2.ValueLimit, path: str) -> ValueLimit:
    """Checks a limit of the matches that share a value.

    Raises:
        InvalidRequestError: If it names no field, or no count.
    """
    field = message.field
    is_attribute = field.startswith("attributes.") and field != "attributes."
    if not (field in FIELDS or is_attribute):
        raise _refusal(
            f"field must be one of {', '.join(FIELDS)}, or attributes. and a name; got "
            f"{field[:64]!r}",
            f"{path}.field",
        )
    if len(field) > _NAME_LIMIT:
        raise _refusal(
            f"field must have at most {_NAME_LIMIT} characters, got {len(field)}", f"{path}.field"
        )
    if message.match_count < 1:
        raise _refusal(
            f"match_count must be 1 or more, got {message.match_count}", f"{path}.match_count"
        )
    return ValueLimit(field=field, match_count=message.match_count)


class _FilterReader:
    """Counts the conditions and the values of one filter while it is read."""

    def __init__(self) -> None:
        self._condition_count = 0
        self._value_count = 0

    def read(self, message: filter_pb2.Filter, path: str, depth: int) -> ProductFilter:
        """Reads the condition at a path, `depth` levels deep."""
        self._condition_count += 1
        if depth > DEPTH_LIMIT:
            raise _refusal(f"a filter must be at most {DEPTH_LIMIT} levels deep", path)
        if self._condition_count > CONDITION_LIMIT:
            raise _refusal(f"a filter must have at most {CONDITION_LIMIT} conditions", path)
        kind = message.WhichOneof("condition")
        path = f"{path}.{kind}"
        match kind:
            case "all_of":
                return AllOf(filters=self._read_all(message.all_of, path, depth))
            case "any_of":
                return AnyOf(filters=self._read_all(message.any_of, path, depth))
            case "none_of":
                return NoneOf(filters=self._read_all(message.none_of, path, depth))
            case "category":
                return self._read_category(message.category, path)
            case "brand" | "seller":
                values = self._read_values(getattr(message, kind).values, path, least_count=1)
                return FieldIn(field=kind, values=values)
            case "price":
                return _read_price(message.price, path)
            case "attribute":
                return self._read_attribute(message.attribute, path)
        raise _refusal("a filter must have a condition", path.removesuffix(".None"))

    def _read_all(
        self, message: filter_pb2.Filters, path: str, depth: int
    ) -> tuple[ProductFilter, ...]:
        path = f"{path}.filters"
        if not message.filters:
            raise _refusal("filters must be 1 or more, got none", path)
        return tuple(
            self.read(each, f"{path}[{place}]", depth + 1)
            for place, each in enumerate(message.filters)
        )

    def _read_category(self, message: filter_pb2.FilterValues, path: str) -> CategoryUnder:
        values = self._read_values(message.values, path, least_count=1)
        if not all(map(category_path, values)):
            raise _refusal("a category must name a level, such as Grocery/Coffee", f"{path}.values")
        return CategoryUnder(paths=frozenset(map(category_path, values)))

    def _read_attribute(self, message: filter_pb2.AttributeValues, path: str) -> AttributeIn:
        if not message.name:
            raise _refusal("the name of an attribute must not be empty", f"{path}.name")
        values = self._read_values(message.values, path, least_count=0)
        return AttributeIn(name=message.name, values=values)

    def _read_values(self, values: Sequence[str], path: str, *, least_count: int) -> frozenset[str]:
        self._value_count += len(values)
        if len(values) < least_count:
            raise _refusal("values must be 1 or more, got none", f"{path}.values")
        if self._value_count > VALUE_LIMIT:
            raise _refusal(f"a filter must have at most {VALUE_LIMIT} values", f"{path}.values")
        return frozenset(values)


def _read_price(message: filter_pb2.PriceRange, path: str) -> PriceBetween:
    if not (message.HasField("min") or message.HasField("max")):
        raise _refusal("a price range must have a min or a max", path)
    least = message.min if message.HasField("min") else -math.inf
    greatest = message.max if message.HasField("max") else math.inf
    # A NaN is neither above nor below anything.
    if not least <= greatest:
        raise _refusal(
            f"a price range must have a min that is at most its max, got {least:g} to {greatest:g}",
            path,
        )
    return PriceBetween(least=least, greatest=greatest)


def _refusal(sentence: str, path: str) -> InvalidRequestError:
    return InvalidRequestError(sentence, field=path)
