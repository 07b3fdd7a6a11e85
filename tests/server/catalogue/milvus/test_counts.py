"""Counts of a catalogue on Milvus whose answers do not fit one another."""

from __future__ import annotations

from typing import Any

from twinshelf.server.catalogue.milvus.counts import Counts
from twinshelf.server.catalogue.milvus.product_rows import embedded_token
from twinshelf.server.catalogue.milvus.state import CatalogueState
from twinshelf.server.encoders.modalities import Pattern

STATE = CatalogueState(known=frozenset({"a"}))
TEXT = embedded_token(STATE.made_number("a"), Pattern.TEXT)


class HalfSeen:
    """A Milvus that loses a query node once it has counted all ten products."""

    products = "products"
    missing = 0

    def count(self, collection: str, condition: str, **_: object) -> int:
        """Counts the products; half of them with a text alone."""
        assert collection == self.products
        if "not (" in condition:
            return self.missing
        return 10 if condition.startswith("kind") else 5 * (f"[{TEXT}]" in condition)


def test_what_a_query_node_does_not_see_is_not_missing() -> None:
    milvus: Any = HalfSeen()
    counts = Counts(milvus, milvus)
    assert counts.refresh(STATE)
    assert (counts.product_count, counts.embedded_count("a")) == (10, 5)
    assert counts.missing_count("a") == 0
    assert counts.missing_count("b") == 10
    milvus.missing = 2
    counts.refresh(STATE)
    assert counts.missing_count("a") == 2
