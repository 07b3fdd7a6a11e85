"""The judged search: a shopper's query, a product, and how well it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from twinshelf.training.catalogues.product import Product


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
        return _GAINS[self]


_GAINS = {
    Relevance.EXACT: 1.0,
    Relevance.SUBSTITUTE: 0.1,
    Relevance.COMPLEMENT: 0.01,
    Relevance.IRRELEVANT: 0.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryProduct:
    """A query, a product, and the judgement of a person.

    Attributes:
        query: What the shopper typed; never empty.
        product: The product that was judged.
        label: How well it answers.
        locale: Country of the shop, such as "us"; empty when unknown.
        is_held_out: Whether the data set keeps the query for testing.

    Raises:
        ValueError: If the query is empty.
    """

    query: str
    product: Product
    label: Relevance
    locale: str = ""
    is_held_out: bool = False

    def __post_init__(self) -> None:
        if not self.query.strip():
            raise ValueError("query must not be empty")

    @property
    def query_id(self) -> str:
        """Identifier of the query: case and blanks do not make another one, a country does."""
        return f"query {self.locale}: {' '.join(self.query.casefold().split())}"

    @property
    def offer(self) -> Product:
        """The query as a record: a title and nothing else."""
        return Product(product_id=self.query_id, title=self.query)
