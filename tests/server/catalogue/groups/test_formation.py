"""Groups found product by product are those that `make group` forms at once."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from twinshelf.server.catalogue.groups.formation import (
    GroupGuards,
    Node,
    Strength,
    Ties,
    find_group,
    tie_strength,
)
from twinshelf.training.grouping.components import form_groups
from twinshelf.training.grouping.edges import Edges
from twinshelf.training.grouping.grouping_config import GroupingConfig

Weighted = dict[tuple[int, int], float]


def ties_from(pairs: Weighted) -> dict[Node, Ties]:
    ties: dict[Node, dict[Node, Strength]] = {}
    for (left, right), value in pairs.items():
        ties.setdefault(left, {})[right] = tie_strength(value, value)
        ties.setdefault(right, {})[left] = tie_strength(value, value)
    return {
        node: sorted(others.items(), key=lambda each: each[1], reverse=True)
        for node, others in ties.items()
    }


def found_groups(pairs: Weighted, count: int, guards: GroupGuards) -> set[frozenset[int]]:
    ties = ties_from(pairs)
    return {
        find_group(node, lambda node: ties.get(node, ()), guards).members for node in range(count)
    }


def batch_groups(pairs: Weighted, count: int, guards: GroupGuards) -> set[frozenset[int]]:
    rows = [(*sorted(pair), value) for pair, value in pairs.items()]
    left, right, values = (np.array(column) for column in zip(*rows, strict=True))
    edges = Edges(left=left, right=right, scores=values, probabilities=values)
    config = GroupingConfig(
        neighbour_count=guards.neighbour_count,
        most_members=guards.most_members,
        least_density=guards.least_density,
    )
    numbers = form_groups(edges, count, config).numbers
    return {frozenset(np.flatnonzero(numbers == n).tolist()) for n in range(numbers.max() + 1)}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "guards",
    [
        GroupGuards(most_members=6, least_density=0.5),
        GroupGuards(most_members=4, least_density=0),
        GroupGuards(neighbour_count=2, most_members=8, least_density=0.9),
        GroupGuards(),
    ],
)
def test_groups_equal_those_of_the_batch_command(seed: int, guards: GroupGuards) -> None:
    generator = np.random.default_rng(seed)
    count = 30
    pairs = [pair for pair in combinations(range(count), 2) if generator.random() < 0.12]
    # Few different values, so that ties of equal strength are common.
    values = generator.integers(1, 12, len(pairs)) / 12
    weighted = dict(zip(pairs, values.tolist(), strict=True))
    assert found_groups(weighted, count, guards) == batch_groups(weighted, count, guards)


def test_two_groups_with_pinned_members_never_become_one() -> None:
    ties = ties_from({(-1, 5): 0.9, (5, -2): 0.8, (-1, -2): 0.7})
    found = find_group(5, lambda node: ties.get(node, ()), GroupGuards())
    assert found.members == {-1, 5}
    assert find_group(-2, lambda node: ties.get(node, ()), GroupGuards()).members == {-2}


def test_a_chain_of_a_million_products_is_looked_at_no_further_than_a_group_may_reach() -> None:
    asked: set[int] = set()

    def ties_of(node: int) -> Ties:
        asked.add(node)
        return [(node - 1, (0.9, 0.9)), (node + 1, (0.9, 0.9))]

    found = find_group(500_000, ties_of, GroupGuards())
    assert found.members == {500_000}
    assert len(asked) <= 51
