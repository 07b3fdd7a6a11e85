"""The judged search: a shopper's query, a product, and how well it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from training.preprocessing.settings import PreprocessingSettings
from training.preprocessing.texts import join_fields
from training.product import Product
from training.training_data import text_fields


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

    Raises:
        ValueError: If the query is empty.
    """

    query: str
    product: Product
    label: Relevance

    def __post_init__(self) -> None:
        if not self.query.strip():
            raise ValueError("query must not be empty")


def query_text(pair: QueryProduct, settings: PreprocessingSettings) -> str:
    """Returns the query as the text tower reads it: cleaned, behind the query prefix.

    A query is no title of one's own shop, but it stands where an offer's title stands.
    """
    fields = {settings.text_fields[0]: pair.query} if settings.text_fields else {}
    return settings.query_prefix + join_fields(fields, settings)


def passage_text(pair: QueryProduct, settings: PreprocessingSettings) -> str:
    """Returns the product as the text tower reads it: fields joined, behind the passage prefix."""
    return settings.passage_prefix + join_fields(text_fields(pair.product), settings)
