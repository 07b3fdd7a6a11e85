"""From query vectors to pages: near vectors, exact scores, the ranked best, their products."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.facets.facet_table import Allowed, FacetTable
from twinshelf.server.catalogue.hit_page import PAGE_BLOCK, ReadProducts, fill_page
from twinshelf.server.catalogue.index.catalogue_index import CatalogueIndex, PatternFound
from twinshelf.server.catalogue.product_record import StoredProduct
from twinshelf.server.catalogue.ranking import (
    Candidates,
    FilterPlan,
    HitPage,
    Query,
    Ranked,
    Ranking,
    full_values,
    rank,
)
from twinshelf.server.catalogue.rows.product_reader import ProductReader
from twinshelf.server.encoders.embedding import Floats, Halves, score_products
from twinshelf.server.encoders.modalities import Pattern

# A limit of hits of a value may need further searches; with so many the answer may be short.
_MORE_SEARCHES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A query on its way.

    Attributes:
        index: That of the encoder that embedded the offer.
        query: What is looked for.
        vector: (I+T,) query vector; see `server.encoders.embedding`.
        facets: Those of all products; None is enough without a condition and a limit of values.
    """

    index: CatalogueIndex
    query: Query
    vector: Floats
    facets: FacetTable | None


def search_products(searches: Sequence[Search], products: ProductReader) -> list[HitPage]:
    """Returns the products most alike each offer, best first, scored exactly, cut to a page.

    What is alike of all searches is done together: numpy and SQLite take hardly longer for eight
    than for one, and threads wait less often for the interpreter and for each other.

    Args:
        searches: N searches.
        products: What is shown of a hit.
    """
    alike = defaultdict(list)
    for place, search in enumerate(searches):
        query = search.query
        # What may need further searches stays alone.
        own = None if query.value_limit is None else place
        patterns = query.embedding.pattern, query.weights.pattern
        wanted = query.candidate_count, search.facets, query.condition, own
        # An encoder keeps its index when it is calibrated anew.
        alike[search.index, id(query.contract), patterns, wanted].append(place)
    pages: dict[int, HitPage] = {}
    for places in alike.values():
        found = _search_alike([searches[place] for place in places], products)
        pages.update(zip(places, found, strict=True))
    return [pages[place] for place in range(len(searches))]


def _search_alike(searches: Sequence[Search], products: ProductReader) -> list[HitPage]:
    """Searches for offers of the same modalities that want the same of the index."""
    index, facets = searches[0].index, searches[0].facets
    queries = [search.query for search in searches]
    condition = queries[0].condition
    allowed = None if facets is None or condition is None else facets.allow(condition)
    near = _search_index(searches, allowed)
    start_s = time.perf_counter()
    rankings = _rank(searches, near, products)
    rescore_s = (time.perf_counter() - start_s) / len(searches)
    read = _reader(rankings, products, index.digest)
    return [
        fill_page(ranking, query, read, rescore_s=rescore_s, plan=_plan(parts, allowed))
        for ranking, query, parts in zip(rankings, queries, near, strict=True)
    ]


def _reader(rankings: Sequence[Ranking], products: ProductReader, digest: str) -> ReadProducts:
    """Reads the products of all first blocks at once; returns what reads those of any block."""
    firsts = _patterns(chain.from_iterable(each.best[:PAGE_BLOCK] for each in rankings))
    found = products.products_by_number(firsts, digest)

    def read(block: Sequence[Ranked]) -> Mapping[int, StoredProduct]:
        """Returns the products of a block."""
        patterns = _patterns(block)
        # As a product is replaced, one query may find it as it was and another as it is.
        if patterns.items() <= firsts.items():
            return found
        return products.products_by_number(patterns, digest)

    return read


def _patterns(ranked: Iterable[Ranked]) -> dict[int, Pattern]:
    return {item.product_number: item.product_pattern for item in ranked}


def _search_index(searches: Sequence[Search], allowed: Allowed | None) -> list[list[PatternFound]]:
    """Returns what is near each search that wants the same of the index."""
    vectors = np.stack([search.vector for search in searches])
    query = searches[0].query
    return searches[0].index.search(vectors, query.weights.pattern, query.candidate_count, allowed)


def _plan(near: Sequence[PatternFound], allowed: Allowed | None) -> FilterPlan | None:
    if allowed is None:
        return None
    is_exact = all(each.found.is_exact for each in near)
    return FilterPlan(is_exact=is_exact, allowed_count=allowed.count)


def _rank(
    searches: Sequence[Search], near: Sequence[Sequence[PatternFound]], products: ProductReader
) -> list[Ranking]:
    search, queries = searches[0], [search.query for search in searches]
    if search.facets is None or search.query.value_limit is None:
        return rank(_candidates(searches, near, products, None), queries)
    # A product that comes later has none. They are taken once: it takes a look at all products.
    keys = np.append(search.facets.keys(search.query.value_limit.field), 0)
    candidates = _candidates(searches, near, products, keys)
    (ranking,) = rank(candidates, queries)
    allowed: Allowed | None = None
    for _ in range(_MORE_SEARCHES):
        full = full_values(candidates, search.query.value_limit)
        if ranking.count == search.query.match_count or len(full) == 0:
            break
        # What has all the hits that it may have is left out, and makes room for others.
        allowed = allowed or search.facets.allow(search.query.condition)
        allowed = allowed.without(np.isin(keys, full))
        more = _search_index(searches, allowed)
        candidates += _candidates(searches, more, products, keys)
        previous_count, (ranking,) = ranking.count, rank(candidates, queries)
        if ranking.count == previous_count:
            break
    return [ranking]


def _candidates(
    searches: Sequence[Search],
    near: Sequence[Sequence[PatternFound]],
    products: ProductReader,
    keys: npt.NDArray[np.int64] | None,
) -> list[Candidates]:
    """Scores what was found, without the products that are left out.

    Args:
        searches: Those that want the same of the index.
        near: What was found for each.
        products: Knows who is left out.
        keys: See `Candidates.value_keys`, of each row of the facets, and 0; None without a limit.
    """
    contract, facets = searches[0].query.contract, searches[0].facets
    offers = [(search.query.embedding, search.query.weights) for search in searches]
    found: dict[Pattern, list[tuple[int, npt.NDArray[np.int64], Halves]]] = defaultdict(list)
    for number, (search, parts) in enumerate(zip(searches, near, strict=True)):
        excluded = search.query.excluded_ids and products.numbers_of(search.query.excluded_ids)
        for part in parts:
            numbers, vectors = part.found.product_numbers, part.found.vectors
            if excluded:
                is_kept = ~np.isin(numbers, excluded)
                numbers, vectors = numbers[is_kept], vectors[is_kept]
            found[part.pattern].append((number, numbers, vectors))
    candidates = []
    for pattern, each in found.items():
        owners, counts = zip(*((owner, len(numbers)) for owner, numbers, _ in each), strict=True)
        query_numbers = np.repeat(owners, counts)
        product_numbers = np.concatenate([numbers for _, numbers, _ in each])
        stored = np.concatenate([vectors for _, _, vectors in each])
        candidates.append(
            Candidates(
                query_numbers=query_numbers,
                product_numbers=product_numbers,
                scores=score_products(offers, query_numbers, stored, pattern, contract),
                pattern=pattern,
                value_keys=_value_keys(facets, product_numbers, keys),
            )
        )
    return candidates


def _value_keys(
    facets: FacetTable | None,
    numbers: npt.NDArray[np.int64],
    keys: npt.NDArray[np.int64] | None,
) -> npt.NDArray[np.int64] | None:
    if facets is None or keys is None:
        return None
    return keys.take(facets.find_rows(numbers), mode="clip")
