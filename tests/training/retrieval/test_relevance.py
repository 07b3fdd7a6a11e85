"""Relevant pairs against a loop."""

from __future__ import annotations

import numpy as np

from twinshelf.training.retrieval.relevance import pairs_by_group, rows_of_same_product


def test_pairs_are_those_of_one_group_without_the_query_itself() -> None:
    generator = np.random.default_rng(3)
    queries = [str(number) for number in generator.integers(0, 8, 30)] + [""]
    gallery = [str(number) for number in generator.integers(0, 8, 25)] + [""]
    excluded = np.full(31, -1)
    excluded[:10] = generator.integers(0, 26, 10)
    found = pairs_by_group(queries, gallery, excluded)
    expected = [
        (query, item)
        for query in range(31)
        for item in range(26)
        if queries[query] and queries[query] == gallery[item] and item != excluded[query]
    ]
    assert list(zip(found.queries.tolist(), found.items.tolist(), strict=True)) == expected


def test_pairs_of_a_block_count_queries_from_its_start() -> None:
    found = pairs_by_group(["a", "b", "a"], ["a", "b"])
    rows, items = found.of_queries(1, 3)
    assert rows.tolist() == [0, 1]
    assert items.tolist() == [1, 0]


def test_rows_of_the_same_product_are_found_by_identifier() -> None:
    assert rows_of_same_product(["x", "b"], ["a", "b"]).tolist() == [-1, 1]
