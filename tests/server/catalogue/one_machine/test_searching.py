"""Searches that are done together: none of them tells what another one found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from tests.server.catalogue.products import CONTRACT, query_of
from tests.server.fake_encoder import MATCH_PROBABILITY, hashed_row, make_contract
from twinshelf.server.catalogue.facets.facet_table import Facets, FacetTable
from twinshelf.server.catalogue.index.catalogue_index import CatalogueIndex, PatternFound
from twinshelf.server.catalogue.index.vector_index import Found
from twinshelf.server.catalogue.one_machine.searching import Search, search_products
from twinshelf.server.catalogue.product_filter import FieldIn
from twinshelf.server.catalogue.product_record import ProductRecord, StoredProduct
from twinshelf.server.catalogue.rows.product_reader import ProductReader
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding, query_vector, stored_vector
from twinshelf.server.encoders.modalities import Pattern


def embed(image: str, text: str | None) -> OfferEmbedding:
    return OfferEmbedding(
        image=hashed_row(image.encode(), 16),
        text=None if text is None else hashed_row(text.encode(), 16),
    )


class OneProduct:
    """An index that finds product 1 as it was and as it is, and a store that has it."""

    digest = CONTRACT.digest
    states = (embed("old photo", None), embed("new photo", "new text"))

    def search(self, queries: Sequence[object], *_: object) -> list[list[PatternFound]]:
        found = [
            PatternFound(
                pattern=state.pattern,
                found=Found(
                    product_numbers=np.array([1]),
                    vectors=stored_vector(state, CONTRACT)[np.newaxis],
                    is_exact=True,
                ),
            )
            for state in self.states
        ]
        return [found for _ in queries]

    def products_by_number(
        self, patterns: Mapping[int, Pattern], digest: str
    ) -> dict[int, StoredProduct]:
        return {
            number: StoredProduct(
                record=ProductRecord(product_id=f"p{number}"),
                pattern=pattern,
                digest=digest,
                update_time_us=0,
            )
            for number, pattern in patterns.items()
        }


ONE_PRODUCT: Any = OneProduct()


def search_of(offer: OfferEmbedding, contract: EncoderContract = CONTRACT) -> Search:
    query = replace(query_of(offer), contract=contract)
    return Search(
        index=cast(CatalogueIndex, ONE_PRODUCT),
        query=query,
        vector=query_vector(offer, query.weights, contract),
        facets=None,
    )


def assert_none_tells_of_another(searches: Sequence[Search]) -> None:
    products = cast(ProductReader, ONE_PRODUCT)
    together = search_products(searches, products)
    for search, page in zip(searches, together, strict=True):
        (alone,) = search_products([search], products)
        assert page.hits == alone.hits
        assert page.no_match_probability == alone.no_match_probability


def test_a_product_that_is_being_replaced_is_shown_as_each_search_found_it() -> None:
    searches = [
        search_of(embed("old photo", "old text")),
        search_of(embed("new photo", "new text")),
    ]
    assert_none_tells_of_another(searches)
    patterns = [
        page.hits[0].product.pattern
        for page in search_products(searches, cast(ProductReader, ONE_PRODUCT))
    ]
    assert patterns == [Pattern.IMAGE, Pattern.BOTH]


def test_a_search_is_judged_as_its_own_contract_was_calibrated() -> None:
    model = MATCH_PROBABILITY | {"score_ceiling": 1.5}
    anew = make_contract(version=2, match_probability=model)
    assert anew.digest == CONTRACT.digest
    offer = embed("new photo", "some text")
    searches = [search_of(offer), search_of(offer, anew)]
    assert_none_tells_of_another(searches)
    first, second = search_products(searches, cast(ProductReader, ONE_PRODUCT))
    assert first.no_match_probability != second.no_match_probability


def test_a_filter_is_asked_of_the_facets_that_its_search_came_with() -> None:
    tables = [FacetTable(), FacetTable()]
    for table, brand in zip(tables, ("other", ""), strict=True):
        table.append(Facets.of({1: ProductRecord(product_id="p1", brand=brand)}))
    condition = FieldIn(field="brand", values=frozenset({""}))
    search = search_of(embed("new photo", "new text"))
    searches = [
        replace(search, facets=table, query=replace(search.query, condition=condition))
        for table in tables
    ]
    plans = [page.plan for page in search_products(searches, cast(ProductReader, ONE_PRODUCT))]
    assert [plan and plan.allowed_count for plan in plans] == [0, 1]
