"""The split of data whose label is a class: each class stands on both sides."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from training.product import Product


def split_within_groups(
    products: Sequence[Product], share: float, seed: int
) -> tuple[tuple[Product, ...], tuple[Product, ...]]:
    """Takes a share of the rows of each group out.

    A group of one row, and rows without a group, are kept: there is nothing to find them by.

    Args:
        products: Rows; the choice depends on their identifiers, not on their order.
        share: Share of each group to take out, between 0 and 1.
        seed: Seed of the choice.

    Returns:
        Rows kept and rows taken out, both in the order they came.

    Raises:
        ValueError: If the share is out of range.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, got {share}")
    groups: dict[str, list[str]] = defaultdict(list)
    for product in products:
        if product.group:
            groups[product.group].append(product.product_id)
    taken: set[str] = set()
    for group in sorted(groups):
        members = sorted(groups[group])
        count = min(len(members) - 1, max(1, round(share * len(members))))
        taken.update(random.Random(f"{seed} {group}").sample(members, count))
    kept = tuple(product for product in products if product.product_id not in taken)
    return kept, tuple(product for product in products if product.product_id in taken)
