"""One query from vector to page: near vectors, exact scores, the ranked best, their products."""

from __future__ import annotations

import time
from collections.abc import Sequence

from twinshelf.server.catalogue.index import CatalogueIndex
from twinshelf.server.catalogue.product_reader import ProductReader
from twinshelf.server.catalogue.ranking import Candidates, Hit, HitPage, Query, Ranked, rank
from twinshelf.server.encoders.embedding import Floats, score_products
from twinshelf.server.encoders.modalities import Pattern

# Products that are read at once for a page, so that one that is cut reads hardly more than it has.
PAGE_BLOCK = 64


def search_products(
    index: CatalogueIndex, products: ProductReader, query: Query, vector: Floats
) -> HitPage:
    """Returns the products most alike an offer, best first, scored exactly, cut to a page.

    Args:
        index: That of the encoder that embedded the offer.
        products: What is shown of a hit.
        query: What is looked for.
        vector: (I+T,) query vector; see `server.encoders.embedding`.
    """
    weights = query.weights
    found = index.search(vector, weights.pattern, query.candidate_count)
    start_s = time.perf_counter()
    candidates = [
        Candidates(
            product_numbers=each.found.product_numbers,
            scores=score_products(
                query.embedding, weights, each.found.vectors, each.pattern, query.contract
            ),
            pattern=Pattern(each.pattern & weights.pattern),
        )
        for each in found
    ]
    ranking = rank(candidates, query)
    rescore_s = time.perf_counter() - start_s
    hits, next_skip_count = _page(products, ranking.best, query)
    return HitPage(
        hits=tuple(hits),
        next_skip_count=next_skip_count,
        no_match_probability=ranking.no_match_probability,
        rescore_s=rescore_s,
    )


def _page(
    products: ProductReader, ranked: Sequence[Ranked], query: Query
) -> tuple[list[Hit], int | None]:
    """Reads products until the page is full; returns the hits, and where the next one starts.

    What was deleted since the search began is left out.
    """
    hits: list[Hit] = []
    size_bytes = 0
    for start in range(0, len(ranked), PAGE_BLOCK):
        block = ranked[start : start + PAGE_BLOCK]
        stored = products.products_by_number([item.product_number for item in block])
        for place, item in enumerate(block, start):
            product = stored.get(item.product_number)
            if product is None:
                continue
            size_bytes += product.record.size_bytes
            if hits and size_bytes > query.page_limit_bytes:
                return hits, query.skip_count + place
            hits.append(Hit(product=product, ranked=item))
    return hits, None
