"""Judged searches made ready for learning to match: a query is an offer, its products its group.

A row has one group, but a product may be the exact answer of many queries. So that no right answer
ever counts as wrong, neither among the negatives of a batch nor in an evaluation, and no wrong one
as right, queries with the very same exact products are one group, and a product that is exact for
several groups is left out. Connected components would lose nothing, but call products right that
nobody judged so, and on the published data nearly all queries would hang together.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import Product, QueryProduct, Relevance
from twinshelf.training.catalogues.reading import MatchingData
from twinshelf.training.catalogues.splits import draw_held_out

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Searches:
    """Judgements by query, as they are read.

    Attributes:
        queries: Query rows by identifier.
        products: Judged products by identifier.
        labels: By query the judged products with their labels; the better one where two differ.
        held_out: Queries that the data set keeps for testing.
        bad_rows: Rows that could not be read.
    """

    queries: dict[str, Product] = field(default_factory=dict)
    products: dict[str, Product] = field(default_factory=dict)
    labels: dict[str, dict[str, Relevance]] = field(default_factory=dict)
    held_out: set[str] = field(default_factory=set)
    bad_rows: list[BadRow] = field(default_factory=list)

    def add(self, pair: QueryProduct | BadRow) -> None:
        """Takes in one judgement."""
        if isinstance(pair, BadRow):
            self.bad_rows.append(pair)
            return
        query_id, product_id = pair.query_id, pair.product.product_id
        self.queries.setdefault(query_id, pair.offer)
        self.products.setdefault(product_id, pair.product)
        judged = self.labels.setdefault(query_id, {})
        judged[product_id] = max(
            judged.get(product_id, pair.label), pair.label, key=attrgetter("gain")
        )
        if pair.is_held_out:
            self.held_out.add(query_id)

    def exact(self, query_id: str) -> list[str]:
        """Returns the exact products of a query."""
        judged = self.labels[query_id].items()
        return [product_id for product_id, label in judged if label is Relevance.EXACT]


def split_searches(pairs: Iterable[QueryProduct | BadRow], seed: int) -> MatchingData:
    """Splits judged searches by query; a group never stands on both sides.

    The gallery holds all products but those left out. Held out are the queries that the data set
    keeps for testing; where it keeps none or all, a fifth is drawn. Held-out queries without a
    relevant product stay. Training takes the other queries with their
    products, and for each group one near miss, a product that was judged less than exact for it
    and is exact for no query: it is a group of its own. The field `category` of training rows names
    the search that brought them, so that batches of one category hold searches with their near
    misses; leave it out of the embedded text fields.

    Raises:
        ValueError: If no query to train on has an exact product of its own.
    """
    searches = Searches()
    for pair in pairs:
        searches.add(pair)
    groups, owners = _form_groups(searches)
    answers = {name: [p for p in searches.exact(name) if owners[p]] for name in groups}
    answered = [name for name in groups if answers[name]]
    held_out = _choose_held_out(searches, groups, answered, seed)
    trained = {name: groups[name] for name in answered if name not in held_out}
    if not trained and searches.queries:
        raise ValueError(
            f"none of the {len(searches.queries)} queries to train on has an exact product that "
            "is exact for no other query"
        )
    gallery = _make_gallery(searches, owners)
    return MatchingData(
        train=tuple(_training_rows(trained, answers, searches, gallery, owners)),
        queries=tuple(
            replace(searches.queries[query_id], group=name)
            for name, queries in groups.items()
            if name in held_out
            for query_id in queries
        ),
        gallery=tuple(gallery.values()),
        bad_rows=tuple(searches.bad_rows),
    )


def _form_groups(searches: Searches) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Returns the queries of each group, and the group of each exact product, "" for several.

    The first query names the group: queries with the very same exact products are one.
    """
    members: dict[frozenset[str], list[str]] = {}
    for query_id in searches.labels:
        # Queries without an answer have nothing in common.
        key = frozenset(searches.exact(query_id) or [query_id])
        members.setdefault(key, []).append(query_id)
    groups = {queries[0]: queries for queries in members.values()}
    owners: dict[str, str] = {}
    for name in groups:
        for product_id in searches.exact(name):
            owners[product_id] = "" if product_id in owners else name
    return groups, owners


def _choose_held_out(
    searches: Searches, groups: Mapping[str, list[str]], answered: list[str], seed: int
) -> set[str]:
    kept = {name for name, each in groups.items() if not searches.held_out.isdisjoint(each)}
    if kept and len(kept) < len(groups):
        return kept
    return set(draw_held_out(sorted(answered), random.Random(seed)))


def _make_gallery(searches: Searches, owners: Mapping[str, str]) -> dict[str, Product]:
    gallery = {
        product_id: replace(product, group=owners.get(product_id) or f"product:{product_id}")
        for product_id, product in searches.products.items()
        if owners.get(product_id) != ""
    }
    if left_out := len(searches.products) - len(gallery):
        logger.warning(
            "left out %d of %d products: each is the exact answer of several searches",
            left_out,
            len(searches.products),
        )
    return gallery


def _training_rows(
    groups: Mapping[str, list[str]],
    answers: Mapping[str, list[str]],
    searches: Searches,
    gallery: Mapping[str, Product],
    owners: Mapping[str, str],
) -> Iterator[Product]:
    used: set[str] = set()
    for name, queries in groups.items():
        for query_id in queries:
            yield replace(searches.queries[query_id], group=name, category=name)
        for product_id in answers[name]:
            yield replace(gallery[product_id], category=name)
        misses = {
            product_id: label
            for query_id in queries
            for product_id, label in searches.labels[query_id].items()
            if product_id not in owners and product_id not in used
        }
        if misses:
            nearest = max(misses, key=lambda product_id: misses[product_id].gain)
            used.add(nearest)
            yield replace(gallery[nearest], category=name)
