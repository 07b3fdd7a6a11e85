"""Facets of products as Milvus filters by them: hashes in an array, and the price.

A token stands for something that holds of a product: a brand, a level of its category, the value
of an attribute. As hashes they need no quoting, are never too long, and take one index. Two that
share one of 64 bits would only let a product through that is dropped when it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

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
from twinshelf.server.catalogue.product_record import ProductRecord

FACETS, PRICE = "facets", "price"
# Prices are zero or more.
NO_PRICE = -1.0
_NOTHING = "number < 0"
_VALUE_FIELDS = ("brand", "seller", "category")


def facet_tokens(record: ProductRecord) -> list[int]:
    """Returns what holds of a product."""
    path = category_path(record.category)
    tokens = [_token("under", *path[:length]) for length in range(1, len(path) + 1)]
    tokens += [_token(field, getattr(record, field)) for field in _VALUE_FIELDS]
    for name, value in record.attributes.items():
        tokens += [_token("attribute", name), _token("attribute", name, value)]
    return tokens


def stored_price(record: ProductRecord) -> float:
    """Returns the price as it is kept in a row."""
    return NO_PRICE if record.price is None else record.price


def value_of(record: ProductRecord, field: str) -> str:
    """Returns the value of a field that a limit of hits names; empty for none."""
    if field in _VALUE_FIELDS:
        return str(getattr(record, field))
    return record.attributes.get(field.partition(".")[2], "")


def expression_without(field: str, values: Iterable[str]) -> str:
    """Returns an expression for products that have none of some values of a field."""
    names = (field,) if field in _VALUE_FIELDS else ("attribute", field.partition(".")[2])
    return f"not ({_any_of(_token(*names, value) for value in values)})"


def filter_expression(condition: ProductFilter) -> str:
    """Returns what a condition means in the language of Milvus."""
    match condition:
        case AllOf():
            return _joined(" and ", condition.filters)
        case AnyOf():
            return _joined(" or ", condition.filters)
        case NoneOf():
            return f"not ({_joined(' or ', condition.filters)})"
        case CategoryUnder():
            return _any_of(_token("under", *path) for path in condition.paths)
        case FieldIn():
            return _any_of(_token(condition.field, value) for value in condition.values)
        case AttributeIn() if condition.values:
            name = condition.name
            return _any_of(_token("attribute", name, value) for value in condition.values)
        case AttributeIn():
            return _any_of([_token("attribute", condition.name)])
        case PriceBetween():
            return _price_expression(condition)


def _price_expression(condition: PriceBetween) -> str:
    least, greatest = max(0.0, condition.least), condition.greatest
    if not least <= greatest or least == float("inf"):
        return _NOTHING
    known = f"{PRICE} >= {least!r}"
    return known if greatest == float("inf") else f"({known} and {PRICE} <= {greatest!r})"


def _joined(word: str, conditions: Iterable[ProductFilter]) -> str:
    # None at all: `all` of nothing holds, `any` of nothing does not.
    parts = [f"({filter_expression(each)})" for each in conditions]
    if not parts:
        return _NOTHING if word == " or " else f"not ({_NOTHING})"
    # Two by two: of more than 49 in a row each is a level deeper than Milvus 2.3 reads
    # (milvus#25848).
    while len(parts) > 1:
        pairs = [parts[start : start + 2] for start in range(0, len(parts), 2)]
        parts = [f"({word.join(pair)})" for pair in pairs]
    return parts[0]


def _any_of(tokens: Iterable[int]) -> str:
    numbers = sorted(tokens)
    return f"array_contains_any({FACETS}, {numbers})" if numbers else _NOTHING


def _token(*parts: str) -> int:
    # With the lengths, so that no two lists of parts are one text.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
