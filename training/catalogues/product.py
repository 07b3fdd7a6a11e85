"""The product: the one record that every reader makes and every later step knows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A catalogue record, or an offer that shows one.

    Attributes:
        product_id: Identifier, unique in its file; never empty.
        title: Name as a shop would print it.
        description: Long text; may hold HTML.
        category: Category path or name.
        brand: Brand or maker.
        seller: Seller or source of the record.
        price: Price in the catalogue's own currency, zero or more; None when unknown.
        attributes: Further properties, name to value.
        images: Photo files, the main one first.
        group: Training label: records of one group are the same product. Empty when unknown.

    Raises:
        ValueError: If the identifier is empty or the price is negative or not a number.
    """

    product_id: str
    title: str = ""
    description: str = ""
    category: str = ""
    brand: str = ""
    seller: str = ""
    price: float | None = None
    attributes: Mapping[str, str] = field(default_factory=lambda: NO_ATTRIBUTES)
    images: tuple[Path, ...] = ()
    group: str = ""

    def __post_init__(self) -> None:
        if not self.product_id:
            raise ValueError("product_id must not be empty")
        if self.price is not None and not (math.isfinite(self.price) and self.price >= 0):
            raise ValueError(f"price must be zero or more, got {self.price}")
