"""Random facets and random filters for the tests of the catalogue."""

from __future__ import annotations

import numpy as np

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

CATEGORIES = ["", "a", "a/b", "a/b/c", "a > bb", "b/a", "b"]
NAMES = ["", "x", "y", "z"]


def random_record(rng: np.random.Generator, product_id: str) -> ProductRecord:
    """Makes a product whose fields are often missing."""
    return ProductRecord(
        product_id=product_id,
        category=str(rng.choice(CATEGORIES)),
        brand=str(rng.choice(NAMES)),
        seller=str(rng.choice(NAMES)),
        price=None if rng.random() < 0.2 else float(rng.integers(10)),
        attributes={
            name: str(rng.choice(NAMES)) for name in ("colour", "size") if rng.random() < 0.7
        },
    )


def random_filter(rng: np.random.Generator, depth: int = 3) -> ProductFilter:
    """Makes a tree of conditions."""
    kind = rng.integers(7 if depth > 1 else 4)
    values = frozenset(str(each) for each in rng.choice([*NAMES, "unknown"], size=2))
    if kind == 0:
        paths = [category_path(str(each)) for each in rng.choice(CATEGORIES[1:], size=2)]
        return CategoryUnder(paths=frozenset(paths))
    if kind == 1:
        return FieldIn(field="brand" if rng.random() < 0.5 else "seller", values=values)
    if kind == 2:
        return PriceBetween(least=float(rng.integers(6)), greatest=float(rng.integers(6, 10)))
    if kind == 3:
        return AttributeIn(name="colour", values=values if rng.random() < 0.8 else frozenset())
    parts = tuple(random_filter(rng, depth - 1) for _ in range(rng.integers(1, 4)))
    return (AllOf, AnyOf, NoneOf)[kind - 4](filters=parts)
