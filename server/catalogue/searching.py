"""From query vectors to pages: near vectors, exact scores, the ranked best, their products."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinshelf.server.catalogue.index import CatalogueIndex, PatternFound
from twinshelf.server.catalogue.product_reader import ProductReader
from twinshelf.server.catalogue.ranking import (
    Candidates,
    Hit,
    HitPage,
    Query,
    Ranked,
    Ranking,
    rank,
)
from twinshelf.server.encoders.embedding import Floats, score_products

# Products that are read at once for a page, so that one that is cut reads hardly more than it has.
PAGE_BLOCK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A query on its way.

    Attributes:
        index: That of the encoder that embedded the offer.
        query: What is looked for.
        vector: (I+T,) query vector; see `server.encoders.embedding`.
    """

    index: CatalogueIndex
    query: Query
    vector: Floats


def search_products(searches: Sequence[Search], products: ProductReader) -> list[HitPage]:
    """Returns the products most alike each offer, best first, scored exactly, cut to a page.

    What is alike of all searches is done together: first all graphs, then all scores, then all
    products, so that each finds in the caches what it needs.

    Args:
        searches: N searches.
        products: What is shown of a hit.
    """
    found = _search_together(searches)
    start_s = time.perf_counter()
    rankings = [_rescore(search.query, each) for search, each in zip(searches, found, strict=True)]
    rescore_s = (time.perf_counter() - start_s) / max(1, len(searches))
    pages = []
    for search, ranking in zip(searches, rankings, strict=True):
        hits, next_skip_count = _page(products, ranking.best, search.query)
        pages.append(
            HitPage(
                hits=tuple(hits),
                next_skip_count=next_skip_count,
                no_match_probability=ranking.no_match_probability,
                rescore_s=rescore_s,
            )
        )
    return pages


def _search_together(searches: Sequence[Search]) -> list[list[PatternFound]]:
    """Asks the index once for all searches that want the same of it."""
    groups = defaultdict(list)
    for place, search in enumerate(searches):
        query = search.query
        groups[search.index, query.weights.pattern, query.candidate_count].append(place)
    found: list[list[PatternFound]] = [[] for _ in searches]
    for (index, pattern, count), places in groups.items():
        vectors = np.stack([searches[place].vector for place in places])
        for place, near in zip(places, index.search(vectors, pattern, count), strict=True):
            found[place] = near
    return found


def _rescore(query: Query, found: Sequence[PatternFound]) -> Ranking:
    candidates = [
        Candidates(
            product_numbers=each.found.product_numbers,
            scores=score_products(
                query.embedding, query.weights, each.found.vectors, each.pattern, query.contract
            ),
            pattern=each.pattern,
        )
        for each in found
    ]
    return rank(candidates, query)


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
        patterns = {item.product_number: item.product_pattern for item in block}
        stored = products.products_by_number(patterns, query.contract.digest)
        for place, item in enumerate(block, start):
            product = stored.get(item.product_number)
            if product is None:
                continue
            size_bytes += product.record.size_bytes
            if hits and size_bytes > query.page_limit_bytes:
                return hits, query.skip_count + place
            hits.append(Hit(product=product, ranked=item))
    return hits, None
