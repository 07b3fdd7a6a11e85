"""How often products are looked at, and an order that takes it into account.

The views are an attribute of a product, so that any catalogue can hold them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from twinshelf.client.records import Match, Product


def views_of(product: Product, attribute: str) -> float | None:
    """Returns how often a product was viewed; None when the catalogue does not say.

    Args:
        product: Of the catalogue.
        attribute: Its attribute that holds the number.
    """
    text = product.attributes.get(attribute, "").replace(",", "").strip()
    try:
        views = float(text)
    except ValueError:
        return None
    return views if 0 <= views < math.inf else None


def by_popularity(matches: Sequence[Match], weight: float, attribute: str) -> tuple[Match, ...]:
    """Orders matches by score and popularity: `(1 - weight) * score + weight * popularity`.

    The popularity is the logarithm of the views over that of the most viewed match, 0 to 1; views
    that nobody knows count as none. Equal matches stay in their order.

    Args:
        matches: Best first.
        weight: Share of the popularity, 0 to 1; 0 leaves the order as it is.
        attribute: Attribute of a product that holds its views.
    """
    if not weight:
        return tuple(matches)
    logs = [math.log1p(views_of(match.product, attribute) or 0.0) for match in matches]
    greatest = max(logs, default=0.0) or 1.0
    blended = [
        (1 - weight) * match.score + weight * log / greatest
        for match, log in zip(matches, logs, strict=True)
    ]
    order = sorted(range(len(matches)), key=lambda place: -blended[place])
    return tuple(matches[place] for place in order)
