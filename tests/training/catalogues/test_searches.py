"""Judged searches as the three tables."""

import logging
import random
from collections.abc import Sequence
from itertools import product as combinations

import pytest

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import Product, QueryProduct, Relevance
from twinshelf.training.catalogues.searches import split_searches

LABELS = {label.value[0].upper(): label for label in Relevance}


def judge(query: str, answers: str, *, held_out: bool = False) -> list[QueryProduct]:
    """Reads "P1:E P2:S" as judgements of a query."""
    return [
        QueryProduct(
            query=query,
            product=Product(product_id=name, title=f"Title of {name}"),
            label=LABELS[label],
            is_held_out=held_out,
        )
        for name, label in (answer.split(":") for answer in answers.split())
    ]


def groups_of(rows: Sequence[Product]) -> dict[str, str]:
    return {row.product_id: row.group for row in rows}


def test_a_query_and_its_exact_products_are_one_group() -> None:
    data = split_searches(
        [*judge("tea", "A:E B:E C:S"), *judge("soap", "D:E", held_out=True)], seed=0
    )
    train = groups_of(data.train)
    assert train["query : tea"] == train["A"] == train["B"] != train["C"]
    assert groups_of(data.queries)["query : soap"] == groups_of(data.gallery)["D"]
    assert set(groups_of(data.gallery)) == {"A", "B", "C", "D"}
    query = data.queries[0]
    assert (query.title, query.category, query.description) == ("soap", "", "")


def test_a_product_that_answers_several_searches_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pairs = [
        *judge("tea", "A:E SHARED:E"),
        *judge("green tea", "B:E SHARED:E"),
        *judge("soap", "D:E", held_out=True),
    ]
    with caplog.at_level(logging.WARNING):
        data = split_searches(pairs, seed=0)
    assert "SHARED" not in groups_of((*data.train, *data.gallery))
    assert groups_of(data.train)["A"] != groups_of(data.train)["B"]
    assert "left out 1 of 4 products" in caplog.text


def test_queries_with_the_very_same_answers_are_one_group_and_keep_them() -> None:
    pairs = [
        *judge("tea", "A:E B:E C:S"),
        *judge("leaf drink", "B:E A:E"),
        *judge("soap", "D:E", held_out=True),
    ]
    groups = groups_of(split_searches(pairs, seed=0).train)
    assert groups["query : tea"] == groups["query : leaf drink"] == groups["A"] == groups["B"]


def test_groups_say_exactly_what_was_judged() -> None:
    generator = random.Random(5)
    names = [f"P{number}" for number in range(40)]
    labels = [label.value[0].upper() for label in Relevance]
    pairs = [
        pair
        for query in range(60)
        for pair in judge(
            f"q{query}",
            " ".join(f"{name}:{generator.choice(labels)}" for name in generator.sample(names, 2)),
            held_out=query % 4 == 0,
        )
    ]
    data = split_searches(pairs, seed=0)
    exact = {(p.query_id, p.product.product_id) for p in pairs if p.label is Relevance.EXACT}
    queries = [row for row in (*data.train, *data.queries) if row.product_id.startswith("query")]
    rows = [*(r for r in data.train if not r.product_id.startswith("query")), *data.gallery]
    compared = 0
    for query, row in combinations(queries, rows):
        assert (query.group == row.group) == ((query.product_id, row.product_id) in exact)
        compared += query.group == row.group
    assert compared > 10
    assert len(data.gallery) < len(names)  # some were shared: the claim above was put to the test


def test_a_group_stands_on_one_side_even_when_its_queries_were_published_on_both() -> None:
    pairs = [
        *judge("tea", "A:E", held_out=True),
        *judge("leaf drink", "A:E"),
        *judge("soap", "D:E"),
    ]
    data = split_searches(pairs, seed=0)
    assert set(groups_of(data.queries)) == {"query : tea", "query : leaf drink"}
    assert not set(groups_of(data.queries).values()) & set(groups_of(data.train).values())


def test_a_fifth_is_drawn_where_the_data_set_holds_none_out() -> None:
    pairs = [pair for n in range(20) for pair in judge(f"q{n}", f"P{n}:E")]
    first = split_searches(pairs, seed=0)
    assert len(first.queries) == 4 and len(first.train) == 32 and len(first.gallery) == 20
    assert split_searches(list(reversed(pairs)), seed=0).queries == first.queries[::-1]
    assert split_searches(pairs, seed=1).queries != first.queries


def test_each_group_brings_its_nearest_miss_that_is_right_for_nobody() -> None:
    pairs = [
        *judge("tea", "A:E I:I S:S B:S"),
        *judge("soap", "B:E S:S C:C"),
        *judge("milk", "D:E", held_out=True),
    ]
    data = split_searches(pairs, seed=0)
    categories = {row.product_id: row.category for row in data.train}
    assert categories["S"] == categories["A"] == "query : tea"
    assert categories["C"] == categories["B"] == "query : soap"  # S has gone to the other search
    assert "I" not in categories
    assert {row.category for row in data.gallery} == {""}
    assert groups_of(data.train)["S"] == groups_of(data.gallery)["S"]


def test_a_held_out_query_without_an_answer_in_the_gallery_is_lone() -> None:
    pairs = [
        *judge("tea", "A:E"),
        *judge("soap", "A:E D:E", held_out=True),
        *judge("milk", "D:S", held_out=True),
        *judge("salt", "F:E"),
        *judge("salts", "D:E", held_out=True),
    ]
    data = split_searches(pairs, seed=0)
    groups = set(groups_of(data.queries).values())
    assert len(data.queries) == len(groups) == 3
    assert not groups & set(groups_of(data.gallery).values())


def test_the_better_of_two_judgements_counts() -> None:
    pairs = [*judge("tea", "A:S"), *judge("TEA", "A:E B:I"), *judge("soap", "D:E", held_out=True)]
    groups = groups_of(split_searches(pairs, seed=0).train)
    assert groups["A"] == groups["query : tea"]


def test_bad_rows_are_passed_on_and_nothing_to_learn_is_told() -> None:
    bad = BadRow(source="x.csv", row_number=3, reason="is empty")
    pairs: list[QueryProduct | BadRow] = [
        *judge("tea", "A:E"),
        bad,
        *judge("soap", "D:E", held_out=True),
    ]
    assert split_searches(pairs, seed=0).bad_rows == (bad,)
    shared = [*judge("tea", "A:E B:E"), *judge("soap", "A:E"), *judge("milk", "B:E")]
    with pytest.raises(ValueError, match="none of the 3 queries .* exact for no other"):
        split_searches(shared, seed=0)
