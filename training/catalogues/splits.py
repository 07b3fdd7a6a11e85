"""Every split of products and queries: what is learnt from, tuned on, and evaluated."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.mapped_products import (
    MappedProducts,
    Numbers,
    map_rows,
    number_texts,
)
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import MatchingData, Row

HELD_OUT_SHARE = 0.2
FOLD_COUNT = 5
T = TypeVar("T")


def split_by_group(rows: Iterable[Row], seed: int, *, asks_all: bool = False) -> MatchingData:
    """Splits rows 80/20 by product group; a group never stands on both sides.

    The first row of each group becomes its catalogue product, of all groups: those that no query
    looks for are there to be confused with. The other rows of the held-out groups become queries.
    Training takes all rows of the other groups. Groups of one row give no query; they are split
    separately, so that the share of queries does not depend on them. A row without a group is a
    group of its own.

    Args:
        rows: What a reader gives. The split depends on the groups' names, not on their order.
        seed: Seed of the choice of groups.
        asks_all: Whether the first rows of held-out groups are queries as well, and their other
            rows products: then each is to be found among the others.
    """
    products, bad_rows = map_rows(map(_with_group, rows))
    (groups,) = number_texts(products.texts("group"))
    by_group = np.argsort(groups, kind="stable")
    starts = firsts_of(groups[by_group])
    firsts, sizes = by_group[starts], np.diff(starts, append=len(groups))
    (by_name,) = number_texts(products.take(firsts).texts("group"), by_name=True)
    order = np.argsort(by_name)
    several, single = order[sizes[order] > 1], order[sizes[order] == 1]
    generator = random.Random(seed)
    is_held_out = np.zeros(len(firsts), dtype=np.bool_)
    is_held_out[draw_held_out(several.tolist(), generator)] = True
    is_held_out[draw_held_out(single.tolist(), generator)] = True
    is_asked = np.repeat(is_held_out, sizes)
    train = by_group[~is_asked]
    is_product = is_asked & asks_all
    is_product[starts] = True
    is_asked[starts] &= asks_all
    return MatchingData(
        train=products.take(train),
        queries=products.take(by_group[is_asked]),
        gallery=products.take(by_group[is_product]),
        bad_rows=bad_rows,
    )


def draw_held_out(groups: list[T], generator: random.Random) -> list[T]:
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
    """
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
    train: MappedProducts,
    gallery: MappedProducts,
    queries: MappedProducts,
    share: float,
    seed: int,
) -> tuple[MappedProducts, MappedProducts]:
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
    columns = [products.texts("group") for products in (train, gallery, queries)]
    groups, catalogue_groups, asked_groups = number_texts(*columns, by_name=True)
    has_group = pc.not_equal(columns[0], "").to_numpy()
    is_offer = np.isin(groups, catalogue_groups) & has_group & ~train.are_in(gallery)
    by_id = pc.sort_indices(train.texts("product_id")).to_numpy().astype(np.int64)
    offers = by_id[is_offer[by_id]]
    offers = offers[np.argsort(groups[offers], kind="stable")]
    generator = np.random.default_rng(seed)
    is_taken = np.zeros(len(train), dtype=np.bool_)
    if np.isin(groups[has_group], asked_groups).any():
        is_offer[offers[firsts_of(groups[offers])]] = False
        is_taken[_draw(by_id[is_offer[by_id]], share, generator)] = True
        return train.take(~is_taken), train.take(is_taken)
    drawn = np.isin(groups, _draw(np.unique(groups[offers]), share, generator))
    validation = np.flatnonzero(drawn & is_offer)
    validation = validation[np.argsort(groups[validation], kind="stable")]
    return train.take(~drawn), train.take(validation)


def firsts_of(numbers: Numbers) -> Numbers:
    """Returns the place of the first of each run of equal numbers."""
    is_first = np.ones(len(numbers), dtype=np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=is_first[1:])
    return np.flatnonzero(is_first)


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


def _draw(numbers: Numbers, share: float, generator: np.random.Generator) -> Numbers:
    return numbers[generator.permutation(len(numbers))[: round(share * len(numbers))]]


def _with_group(row: Row) -> Row:
    if isinstance(row, BadRow) or row.group:
        return row
    return replace(row, group=f"product:{row.product_id}")


def _shuffled_places(clusters: Sequence[str], seed: int) -> dict[str, int]:
    """Returns the place of each cluster in a random order that depends on names and seed alone."""
    names = sorted(set(clusters))
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[number]: place for place, number in enumerate(order.tolist())}
