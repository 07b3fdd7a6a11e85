"""How the products of a group hang together, and where it would part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A likeness between two products.

    Attributes:
        left: Identifier of one.
        right: Identifier of the other.
        score: How alike they are, -1 to 1.
    """

    left: str
    right: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakestLink:
    """Where a group would part.

    Attributes:
        link: The weakest of the links that are needed to hold it together; None where it falls
            apart without any.
        side: Products on the smaller side of it.
    """

    link: Link | None
    side: frozenset[str]


def weakest_link(product_ids: Sequence[str], links: Iterable[Link]) -> WeakestLink | None:
    """Finds the weakest link of the strongest tree that holds products together (Kruskal).

    Args:
        product_ids: The products; of fewer than two there is none.
        links: Likenesses among them, in any order and direction.
    """
    sides = {product_id: {product_id} for product_id in product_ids}
    if len(sides) < 2:
        return None
    last: tuple[Link, set[str]] | None = None
    for link in sorted(links, key=lambda each: -each.score):
        left, right = sides[link.left], sides[link.right]
        if left is right:
            continue
        smaller, larger = sorted((left, right), key=len)
        last = (link, set(smaller))
        larger |= smaller
        for product_id in smaller:
            sides[product_id] = larger
    parts = list({id(side): side for side in sides.values()}.values())
    if len(parts) > 1:
        smallest = min(parts, key=len)
        return WeakestLink(link=None, side=frozenset(smallest))
    assert last is not None
    return WeakestLink(link=last[0], side=frozenset(last[1]))
