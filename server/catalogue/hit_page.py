"""From a ranking to a page: products are read until it is full."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from twinshelf.server.catalogue.product_filter import is_allowed
from twinshelf.server.catalogue.product_record import ProductRecord, StoredProduct
from twinshelf.server.catalogue.ranking import (
    PAGE_LIMIT_BYTES,
    FilterPlan,
    Hit,
    HitPage,
    Query,
    Ranked,
    Ranking,
)

# Products that are read at once, so that a page that is cut reads hardly more than it has.
PAGE_BLOCK = 64
# Characters of a title of a brief hit: with 1,000 of them an answer stays below 4 MiB.
BRIEF_TITLE_LIMIT = 256
ReadProducts = Callable[[Sequence[Ranked]], Mapping[int, StoredProduct]]


def fill_page(
    ranking: Ranking,
    query: Query,
    read: ReadProducts,
    *,
    rescore_s: float,
    plan: FilterPlan | None,
) -> HitPage:
    """Fills a page with the best of a ranking.

    What was deleted since the search began, or changed so that it is no longer allowed, is left
    out.

    Args:
        ranking: The ranked candidates.
        query: What was looked for.
        read: Returns the products of some of them, by their numbers.
        rescore_s: See `HitPage`.
        plan: See `HitPage`.
    """
    hits, next_skip_count = _fill(ranking.best, query, read)
    return HitPage(
        hits=tuple(hits),
        next_skip_count=next_skip_count,
        no_match_probability=ranking.no_match_probability,
        rescore_s=rescore_s,
        plan=plan,
    )


def _fill(
    ranked: Sequence[Ranked], query: Query, read: ReadProducts
) -> tuple[list[Hit], int | None]:
    """Returns the hits of the page, and where the next one starts."""
    hits: list[Hit] = []
    size_bytes = 0
    for start in range(0, len(ranked), PAGE_BLOCK):
        block = ranked[start : start + PAGE_BLOCK]
        stored = read(block)
        for place, item in enumerate(block, start):
            product = stored.get(item.product_number)
            if product is None or not (
                query.condition is None or is_allowed(product.record, query.condition)
            ):
                continue
            if query.is_brief:
                product = _brief(product)
            else:
                size_bytes += product.record.size_bytes
            if hits and size_bytes > PAGE_LIMIT_BYTES:
                return hits, query.skip_count + place
            hits.append(Hit(product=product, ranked=item))
    return hits, None


def _brief(product: StoredProduct) -> StoredProduct:
    """Returns a product without its long texts: those of a thousand would take 64 MiB."""
    record = ProductRecord(
        product_id=product.record.product_id,
        title=product.record.title[:BRIEF_TITLE_LIMIT],
        category=product.record.category,
    )
    return replace(product, record=record)
