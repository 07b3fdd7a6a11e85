"""The product: the one record that every reader makes and every later step knows.

Beside it what is made of products: labelled pairs, as scorers learn them, and judged searches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
Vectors = npt.NDArray[np.float32]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Generic[T]):
    """Two records, and whether they are the same product."""

    left: T
    right: T
    is_match: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecomputedProduct:
    """A product known by the vectors that others computed of it; they need not have unit length.

    Attributes:
        product_id: Identifier; never empty.
        name_vector: Embedding of the name, float32 (E,).
        main_pictures: Embedding of the main photo as a row, float32 (1, D); (0, D) without one.
        further_pictures: Embeddings of the other photos, float32 (N, D), N zero or more.
    """

    product_id: str
    name_vector: Vectors
    main_pictures: Vectors
    further_pictures: Vectors

    @property
    def pictures(self) -> Vectors:
        """All photos' embeddings, the main one first, float32 (M, D)."""
        return np.vstack([self.main_pictures, self.further_pictures])


class Relevance(StrEnum):
    """How well a product answers a query, best first."""

    EXACT = "exact"
    SUBSTITUTE = "substitute"
    COMPLEMENT = "complement"
    IRRELEVANT = "irrelevant"

    @property
    def gain(self) -> float:
        """Gain for NDCG, 0 to 1.

        Source: Reddy et al., Shopping Queries Dataset, arXiv 2206.06588, query-product ranking.
        """
        return {"exact": 1.0, "substitute": 0.1, "complement": 0.01, "irrelevant": 0.0}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryProduct:
    """A query, a product, and the judgement of a person.

    Attributes:
        query: What the shopper typed; never empty.
        product: The product that was judged.
        label: How well it answers.
        locale: Country of the shop, such as "us"; empty when unknown.
        is_held_out: Whether the data set keeps the query for testing.
    """

    query: str
    product: Product
    label: Relevance
    locale: str = ""
    is_held_out: bool = False

    @property
    def query_id(self) -> str:
        """Identifier of the query: case and blanks do not make another one, a country does."""
        return f"query {self.locale}: {' '.join(self.query.casefold().split())}"

    @property
    def offer(self) -> Product:
        """The query as a record: a title and nothing else."""
        return Product(product_id=self.query_id, title=self.query)
