"""The split within groups."""

import pytest

from training.catalogues.class_split import split_within_groups
from training.product import Product

PRODUCTS = [Product(product_id=f"{g}{n}", group=g) for g in "abc" for n in range(ord(g) - 94)]


def test_each_group_stands_on_both_sides_and_no_row_twice():
    kept, taken = split_within_groups(PRODUCTS, 0.5, seed=1)
    assert {p.group for p in kept} == {p.group for p in taken} == set("abc")
    assert sorted(p.product_id for p in (*kept, *taken)) == [p.product_id for p in PRODUCTS]


def test_the_choice_depends_on_the_seed_and_not_on_the_order():
    def choose(products, seed):
        return frozenset(p.product_id for p in split_within_groups(products, 0.5, seed)[1])

    assert choose(PRODUCTS, 1) == choose(PRODUCTS[::-1], 1)
    assert len({choose(PRODUCTS, seed) for seed in range(9)}) > 1


def test_lone_and_unlabelled_rows_are_kept():
    rows = [Product(product_id="1", group="a"), Product(product_id="2"), Product(product_id="3")]
    assert split_within_groups(rows, 0.9, seed=1) == (tuple(rows), ())


def test_a_share_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="share must be between 0 and 1, got 1"):
        split_within_groups(PRODUCTS, 1, seed=1)
