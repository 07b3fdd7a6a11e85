"""From query vectors to pages: near vectors, exact scores, the ranked best, their products."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.facets.facet_table import Allowed, FacetTable
from twinshelf.server.catalogue.hit_page import fill_page
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
from twinshelf.server.encoders.embedding import Floats, score_products

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the index found for a search."""

    near: list[PatternFound]
    plan: FilterPlan | None


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
    rankings = [
        _rank(search, each.near, products) for search, each in zip(searches, found, strict=True)
    ]
    rescore_s = (time.perf_counter() - start_s) / max(1, len(searches))
    pages = []
    for search, each, ranking in zip(searches, found, rankings, strict=True):
        read = partial(_read_products, products, search.query.contract.digest)
        pages.append(fill_page(ranking, search.query, read, rescore_s=rescore_s, plan=each.plan))
    return pages


def _read_products(
    products: ProductReader, digest: str, block: Sequence[Ranked]
) -> dict[int, StoredProduct]:
    patterns = {item.product_number: item.product_pattern for item in block}
    return products.products_by_number(patterns, digest)


def _search_together(searches: Sequence[Search]) -> list[_Found]:
    """Asks the index once for all searches that want the same of it."""
    groups = defaultdict(list)
    for place, search in enumerate(searches):
        query = search.query
        key = (search.index, query.weights.pattern, query.candidate_count, query.condition)
        groups[key].append(place)
    found: dict[int, _Found] = {}
    for (index, pattern, count, condition), places in groups.items():
        facets = searches[places[0]].facets
        allowed = None if facets is None or condition is None else facets.allow(condition)
        vectors = np.stack([searches[place].vector for place in places])
        near = index.search(vectors, pattern, count, allowed)
        for place, each in zip(places, near, strict=True):
            found[place] = _Found(near=each, plan=_plan(each, allowed))
    return [found[place] for place in range(len(searches))]


def _plan(near: Sequence[PatternFound], allowed: Allowed | None) -> FilterPlan | None:
    if allowed is None:
        return None
    is_exact = all(each.found.is_exact for each in near)
    return FilterPlan(is_exact=is_exact, allowed_count=allowed.count)


def _rank(search: Search, near: Sequence[PatternFound], products: ProductReader) -> Ranking:
    query = search.query
    if search.facets is None or query.value_limit is None:
        return rank(_candidates(search, near, products, None), query)
    # A product that comes later has none. They are taken once: it takes a look at all products.
    keys = np.append(search.facets.keys(query.value_limit.field), 0)
    candidates = _candidates(search, near, products, keys)
    ranking = rank(candidates, query)
    allowed: Allowed | None = None
    for _ in range(_MORE_SEARCHES):
        full = full_values(candidates, query.value_limit)
        if ranking.count == query.match_count or len(full) == 0:
            break
        # What has all the hits that it may have is left out, and makes room for others.
        allowed = allowed or search.facets.allow(query.condition)
        allowed = allowed.without(np.isin(keys, full))
        pattern = query.weights.pattern
        (more,) = search.index.search(
            search.vector[np.newaxis], pattern, query.candidate_count, allowed
        )
        candidates += _candidates(search, more, products, keys)
        previous_count, ranking = ranking.count, rank(candidates, query)
        if ranking.count == previous_count:
            break
    return ranking


def _candidates(
    search: Search,
    near: Sequence[PatternFound],
    products: ProductReader,
    keys: npt.NDArray[np.int64] | None,
) -> list[Candidates]:
    """Scores what was found, without the products that are left out.

    Args:
        search: The search.
        near: What was found.
        products: Knows who is left out.
        keys: See `Candidates.value_keys`, of each row of the facets, and 0; None without a limit.
    """
    query = search.query
    excluded = products.numbers_of(query.excluded_ids) if query.excluded_ids else []
    candidates = []
    for each in near:
        numbers, vectors = each.found.product_numbers, each.found.vectors
        if excluded:
            is_kept = ~np.isin(numbers, excluded)
            numbers, vectors = numbers[is_kept], vectors[is_kept]
        candidates.append(
            Candidates(
                product_numbers=numbers,
                scores=score_products(
                    query.embedding, query.weights, vectors, each.pattern, query.contract
                ),
                pattern=each.pattern,
                value_keys=_value_keys(search, numbers, keys),
            )
        )
    return candidates


def _value_keys(
    search: Search, numbers: npt.NDArray[np.int64], keys: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.int64] | None:
    if search.facets is None or keys is None:
        return None
    return keys.take(search.facets.find_rows(numbers), mode="clip")
