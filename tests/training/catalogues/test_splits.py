"""Splits: nothing stands on both sides, and seed and names alone decide."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.mapped_products import map_rows
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import separate
from twinshelf.training.catalogues.splits import (
    fold_numbers,
    split_by_group,
    split_halves,
    split_validation,
    split_within_groups,
)

PRODUCTS = [Product(product_id=f"{g}{n}", group=g) for g in "abc" for n in range(ord(g) - 94)]
CLUSTERS = [f"g{number % 21}" for number in range(100)]


def grouped(group_count: int, row_count: int = 4) -> list[Product]:
    return [
        Product(product_id=f"{group}-{row}", title="x", group=f"g{group}")
        for group in range(group_count)
        for row in range(row_count)
    ]


def groups_of(products: Sequence[Product]) -> set[str]:
    return {product.group for product in products}


def test_a_group_never_stands_on_both_sides_and_a_fifth_is_held_out() -> None:
    data = split_by_group(grouped(50), seed=42)
    assert not groups_of(data.train) & groups_of(data.queries)
    assert len(groups_of(data.queries)) == 10
    assert len(groups_of(data.train)) == 40
    assert len(data.train) == 160 and len(data.queries) == 30


def test_the_gallery_has_the_first_row_of_every_group_and_no_query() -> None:
    data = split_by_group(grouped(50), seed=42)
    assert [product.product_id for product in data.gallery] == [f"{g}-0" for g in range(50)]
    ids = {product.product_id for product in data.gallery}
    assert not ids & {product.product_id for product in data.queries}


def test_all_rows_of_held_out_groups_are_asked_for_among_the_others() -> None:
    rows = grouped(50)
    data, usual = split_by_group(rows, seed=42, asks_all=True), split_by_group(rows, seed=42)
    assert [*data.train] == [*usual.train]
    assert {p.product_id for p in data.queries} == {
        p.product_id for p in rows if p.group in groups_of(usual.queries)
    }
    asked, searched = ({p.product_id for p in part} for part in (data.queries, data.gallery))
    assert searched == asked | {p.product_id for p in usual.gallery}
    assert len(data.queries) == 40 and len(data.gallery) == 80


def test_every_query_has_its_product_in_the_gallery() -> None:
    data = split_by_group(grouped(50) + grouped(7, 1), seed=1)
    assert groups_of(data.queries) <= groups_of(data.gallery)


def test_the_split_depends_on_the_seed_and_not_on_the_order() -> None:
    rows = grouped(50)
    shuffled = random.Random(0).sample(rows, len(rows))
    held_out = groups_of(split_by_group(rows, seed=42).queries)
    assert held_out == groups_of(split_by_group(shuffled, seed=42).queries)
    assert held_out != groups_of(split_by_group(rows, seed=43).queries)


def test_rows_without_a_group_are_groups_of_their_own() -> None:
    rows = [Product(product_id=str(number), title="x") for number in range(10)]
    data = split_by_group(rows, seed=42)
    assert not data.queries
    assert len(data.gallery) == 10 and len(data.train) == 8
    assert len(groups_of(data.gallery)) == 10


def test_single_rows_do_not_change_the_share_of_queries() -> None:
    singles = [Product(product_id=f"s{number}", title="x") for number in range(500)]
    data = split_by_group(singles + grouped(50), seed=42)
    assert len(groups_of(data.queries)) == 10


@pytest.mark.parametrize("group_count", [0, 1, 2, 3])
def test_few_groups_leave_something_to_train_on(group_count: int) -> None:
    data = split_by_group(grouped(group_count), seed=42)
    assert bool(data.train) == (group_count > 0)
    assert bool(data.queries) == (group_count > 1)
    assert len(data.gallery) == group_count


def test_bad_rows_are_kept_apart() -> None:
    bad = BadRow(source="t.csv", row_number=1, reason="is odd")
    products, bad_rows = separate([bad, *grouped(1)])
    assert (products, bad_rows) == (tuple(grouped(1)), (bad,))
    assert split_by_group([bad, *grouped(5)], seed=0).bad_rows == (bad,)


def test_each_group_stands_on_both_sides_and_no_row_twice() -> None:
    kept, taken = split_within_groups(PRODUCTS, 0.5, seed=1)
    assert {p.group for p in kept} == {p.group for p in taken} == set("abc")
    assert sorted(p.product_id for p in (*kept, *taken)) == [p.product_id for p in PRODUCTS]


def test_the_choice_depends_on_the_seed_and_not_on_the_order() -> None:
    def choose(products: list[Product], seed: int) -> frozenset[str]:
        return frozenset(p.product_id for p in split_within_groups(products, 0.5, seed)[1])

    assert choose(PRODUCTS, 1) == choose(PRODUCTS[::-1], 1)
    assert len({choose(PRODUCTS, seed) for seed in range(9)}) > 1


def test_lone_and_unlabelled_rows_are_kept() -> None:
    rows = [Product(product_id="1", group="a"), Product(product_id="2"), Product(product_id="3")]
    assert split_within_groups(rows, 0.9, seed=1) == (tuple(rows), ())


def test_a_cluster_never_stands_on_both_sides() -> None:
    half = split_halves(CLUSTERS, seed=1)
    first = {name for name, inside in zip(CLUSTERS, half, strict=True) if inside}
    second = {name for name, inside in zip(CLUSTERS, half, strict=True) if not inside}
    assert (len(first), len(second)) == (10, 11)
    assert not first & second


def test_the_halves_depend_on_the_seed_only() -> None:
    assert (split_halves(CLUSTERS, 1) == split_halves(CLUSTERS, 1)).all()
    assert (split_halves(CLUSTERS, 1) != split_halves(CLUSTERS, 2)).any()
    assert (split_halves(CLUSTERS[::-1], 1) == split_halves(CLUSTERS, 1)[::-1]).all()


def test_folds_hold_whole_clusters_in_like_number() -> None:
    folds = fold_numbers(CLUSTERS, seed=1)
    members = {fold: {CLUSTERS[row] for row in np.flatnonzero(folds == fold)} for fold in range(5)}
    assert sorted(map(len, members.values())) == [4, 4, 4, 4, 5]
    assert sum(map(len, members.values())) == len(set(CLUSTERS))


def rows_of(group: str, names: str) -> list[Product]:
    return [
        Product(product_id=f"{group}-{name}", title=f"{group} {name}", group=group)
        for name in names
    ]


TRAIN = [row for number in range(10) for row in rows_of(f"g{number}", "cabd")]
GALLERY = [rows_of(f"g{number}", "c")[0] for number in range(12)]


def split(
    train: list[Product],
    queries: list[Product],
    share: float,
    *,
    seed: int,
) -> tuple[list[Product], list[Product]]:
    mapped, gallery, asked = (map_rows(rows)[0] for rows in (train, GALLERY, queries))
    kept, taken = split_validation(mapped, gallery, asked, share, seed)
    return list(kept), list(taken)


def test_whole_groups_are_taken_when_queries_show_new_groups() -> None:
    queries = rows_of("g11", "xy")
    train, validation = split(TRAIN, queries, 0.2, seed=42)
    taken = {row.group for row in validation}
    assert len(taken) == 2
    assert taken.isdisjoint(row.group for row in train)
    assert len(train) == 32
    # The catalogue's own row is searched, not searched with.
    assert len(validation) == 6
    assert {row.product_id for row in GALLERY}.isdisjoint(row.product_id for row in validation)


def test_rows_without_a_group_share_none() -> None:
    alone = [Product(product_id=f"alone{n}", title="x") for n in range(2)]
    train, validation = split([*TRAIN, alone[0]], [*rows_of("g11", "xy"), alone[1]], 0.2, seed=42)
    assert {row.group for row in validation}.isdisjoint(row.group for row in train)


def test_single_offers_are_taken_when_queries_show_known_groups() -> None:
    queries = rows_of("g3", "xy")
    train, validation = split(TRAIN, queries, 0.3, seed=42)
    assert len(validation) == round(0.3 * 20)
    assert len(train) + len(validation) == len(TRAIN)
    assert {row.product_id for row in train}.isdisjoint(row.product_id for row in validation)
    for number in range(10):
        left = [row for row in train if row.group == f"g{number}"]
        assert len(left) >= 2


def test_the_same_seed_takes_the_same_rows() -> None:
    first = split(TRAIN, [], 0.3, seed=1)
    assert split(TRAIN, [], 0.3, seed=1) == first
    assert split(TRAIN, [], 0.3, seed=2) != first


def test_groups_that_the_gallery_lacks_and_rows_without_a_group_are_never_taken() -> None:
    strangers = [*rows_of("other", "ab"), Product(product_id="lone", title="lone")]
    train, validation = split([*TRAIN, *strangers], [], 0.5, seed=1)
    assert validation
    assert all(stranger in train and stranger not in validation for stranger in strangers)


def test_a_share_of_zero_trains_on_everything() -> None:
    assert split(TRAIN, [], 0.0, seed=1) == (TRAIN, [])
