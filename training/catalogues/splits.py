"""Every split of products and queries: what is learnt from, tuned on, and evaluated."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import MatchingData, Row, separate

HELD_OUT_SHARE = 0.2
FOLD_COUNT = 5


def split_by_group(rows: Iterable[Row], seed: int) -> MatchingData:
    """Splits rows 80/20 by product group; a group never stands on both sides.

    The first row of each group becomes its catalogue product, of all groups: those that no query
    looks for are there to be confused with. The other rows of the held-out groups become queries.
    Training takes all rows of the other groups. Groups of one row give no query; they are split
    separately, so that the share of queries does not depend on them. A row without a group is a
    group of its own.

    Args:
        rows: What a reader gives. The split depends on the groups' names, not on their order.
        seed: Seed of the choice of groups.
    """
    products, bad_rows = separate(rows)
    groups: dict[str, list[Product]] = defaultdict(list)
    for product in products:
        group = product.group or f"product:{product.product_id}"
        groups[group].append(replace(product, group=group))
    generator = random.Random(seed)
    several = sorted(group for group, members in groups.items() if len(members) > 1)
    single = sorted(group for group, members in groups.items() if len(members) == 1)
    held_out = {*draw_held_out(several, generator), *draw_held_out(single, generator)}
    return MatchingData(
        train=tuple(p for group in groups if group not in held_out for p in groups[group]),
        queries=tuple(p for group in groups if group in held_out for p in groups[group][1:]),
        gallery=tuple(members[0] for members in groups.values()),
        bad_rows=bad_rows,
    )


def draw_held_out(groups: list[str], generator: random.Random) -> list[str]:
    """Draws the held-out share of groups, one at least; none of fewer than two."""
    if len(groups) < 2:  # nothing to learn from would be left
        return []
    return generator.sample(groups, max(1, round(HELD_OUT_SHARE * len(groups))))


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


def split_validation(
    train: Sequence[Product],
    gallery: Sequence[Product],
    queries: Sequence[Product],
    share: float,
    seed: int,
) -> tuple[tuple[Product, ...], tuple[Product, ...]]:
    """Takes validation offers out of the training rows, of the kind that the queries are.

    When the queries show groups unseen in training, whole groups are taken; when they show groups
    that are trained on, single offers are, and each group keeps one at least. Only groups with a
    product in the gallery are taken, and catalogue products themselves never become queries.

    Args:
        train: Rows to split.
        gallery: Catalogue products.
        queries: Held-out offers.
        share: Share to take, 0 to 0.5.
        seed: Seed of the choice.

    Returns:
        The rows left to train on, and the validation offers.
    """
    catalogue_ids = {product.product_id for product in gallery}
    catalogue_groups = {product.group for product in gallery if product.group}
    offers: dict[str, list[Product]] = defaultdict(list)
    for product in train:
        if product.group in catalogue_groups and product.product_id not in catalogue_ids:
            offers[product.group].append(product)
    generator = np.random.default_rng(seed)
    if {query.group for query in queries} & {product.group for product in train}:
        ids = [sorted(offer.product_id for offer in members) for members in offers.values()]
        spare = sorted(offer for members in ids for offer in members[1:])
        taken = set(_draw(spare, share, generator))
        validation = tuple(p for p in train if p.product_id in taken)
        return tuple(p for p in train if p.product_id not in taken), validation
    groups = set(_draw(sorted(offers), share, generator))
    validation = tuple(offer for group in sorted(groups) for offer in offers[group])
    return tuple(p for p in train if p.group not in groups), validation


def split_halves(clusters: Sequence[str], seed: int) -> npt.NDArray[np.bool_]:
    """Draws half of the clusters, rounded down; returns which queries they hold, bool (Q,).

    A cluster never stands on both sides.

    Args:
        clusters: What a query belongs to (Q).
        seed: Seed of the draw.
    """
    places = _shuffled_places(clusters, seed)
    return np.array([places[cluster] < len(places) // 2 for cluster in clusters], dtype=np.bool_)


def fold_numbers(clusters: Sequence[str], seed: int) -> npt.NDArray[np.int64]:
    """Deals whole clusters into folds; returns the fold of each offer, 0 to 4 (Q,)."""
    places = _shuffled_places(clusters, seed)
    return np.array([places[cluster] % FOLD_COUNT for cluster in clusters], dtype=np.int64)


def _draw(names: list[str], share: float, generator: np.random.Generator) -> list[str]:
    return [names[i] for i in generator.permutation(len(names))[: round(share * len(names))]]


def _shuffled_places(clusters: Sequence[str], seed: int) -> dict[str, int]:
    """Returns the place of each cluster in a random order that depends on names and seed alone."""
    names = sorted(set(clusters))
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[number]: place for place, number in enumerate(order.tolist())}
