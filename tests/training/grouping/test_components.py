"""Groups from edges: components, and what the size and density guards split."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from twinshelf.server.command_line import read_command_line
from twinshelf.training.grouping.components import Groups, form_groups
from twinshelf.training.grouping.edges import Edges
from twinshelf.training.grouping.grouping_config import GroupingConfig

SETTINGS = GroupingConfig(most_members=6, least_density=0.5)
Weighted = dict[tuple[int, int], float]


def edges(pairs: Weighted) -> Edges:
    ordered = [(min(pair), max(pair), value) for pair, value in pairs.items()]
    return Edges(
        left=np.array([row[0] for row in ordered], dtype=np.int64),
        right=np.array([row[1] for row in ordered], dtype=np.int64),
        scores=np.array([row[2] for row in ordered], dtype=np.float64),
        probabilities=np.array([row[2] for row in ordered], dtype=np.float64),
    )


def clique(*members: int, probability: float = 0.9) -> Weighted:
    return dict.fromkeys(combinations(members, 2), probability)


def sets(groups: Groups) -> set[frozenset[int]]:
    return {
        frozenset(np.flatnonzero(groups.numbers == number).tolist())
        for number in range(groups.numbers.max() + 1)
    }


def slow_groups(found: Edges, count: int, settings: GroupingConfig) -> set[frozenset[int]]:
    """Cuts the weakest edges of a part, one strength at a time, until every part fits."""

    def parts(rows: list[int], kept: list[int]) -> list[frozenset[int]]:
        graph = coo_array(
            (np.ones(len(kept)), (found.left[kept], found.right[kept])), shape=(count, count)
        )
        numbers = connected_components(graph, directed=False)[1]
        finished = []
        for number in {int(numbers[row]) for row in rows}:
            members = [row for row in rows if numbers[row] == number]
            inner = [edge for edge in kept if numbers[found.left[edge]] == number]
            reach = min(len(members) - 1, settings.neighbour_count, 10)
            dense = len(inner) >= settings.least_density * len(members) * reach / 2 - 1e-9
            if len(members) == 1 or (
                len(members) <= settings.most_members and (dense or len(members) == 2)
            ):
                finished.append(frozenset(members))
                continue
            # Only cutting the part in two changes its members: up to there nothing is judged.
            floor = -1.0
            while True:
                floor = min(found.scores[edge] for edge in inner if found.scores[edge] > floor)
                above = [edge for edge in inner if found.scores[edge] > floor]
                smaller = coo_array(
                    (np.ones(len(above)), (found.left[above], found.right[above])),
                    shape=(count, count),
                )
                cut = connected_components(smaller, directed=False)[1]
                if len({int(cut[row]) for row in members}) > 1:
                    break
            finished += parts(members, above)
        return finished

    return set(parts(list(range(count)), list(range(len(found)))))


def test_components_become_groups_and_the_rest_is_alone() -> None:
    groups = form_groups(edges({**clique(0, 2, 4), **clique(1, 5)}), 7, SETTINGS)
    assert sets(groups) == {frozenset(s) for s in ({0, 2, 4}, {1, 5}, {3}, {6})}
    assert groups.numbers.tolist() == [0, 1, 0, 2, 0, 1, 3]
    assert groups.sizes.tolist() == [3, 2, 3, 1, 3, 2, 1]


def test_the_weakest_kept_edge_is_told_and_lone_products_have_none() -> None:
    groups = form_groups(edges({(0, 1): 0.9, (1, 2): 0.7, (0, 2): 0.8}), 4, SETTINGS)
    assert groups.weakest[:3].tolist() == [0.7] * 3
    assert groups.precision[:3] == pytest.approx([0.8] * 3) and np.isnan(groups.precision[3])
    assert np.isnan(groups.weakest[3])


def test_a_weak_bridge_between_two_tight_groups_is_cut() -> None:
    found = edges({**clique(0, 1, 2, 3), **clique(4, 5, 6, 7), (3, 4): 0.6})
    groups = form_groups(found, 8, SETTINGS)
    assert sets(groups) == {frozenset(range(4)), frozenset(range(4, 8))}
    assert groups.weakest.tolist() == [0.9] * 8


def test_a_chain_of_weak_edges_is_cut_and_stays_without_the_guard() -> None:
    chain = {(row, row + 1): 0.6 + 0.01 * row for row in range(5)}
    guarded = form_groups(edges(chain), 6, GroupingConfig(least_density=0.5))
    assert guarded.sizes.max() <= 4
    assert guarded.numbers[0] != guarded.numbers[5]
    free = form_groups(edges(chain), 6, GroupingConfig(least_density=0))
    assert free.numbers.max() == 0


def test_the_size_guard_splits_at_the_weakest_place() -> None:
    settings = GroupingConfig(most_members=4, least_density=0)
    tight = {**clique(0, 1, 2), **clique(3, 4, 5, 6, probability=0.8), **clique(7, 8)}
    found = edges({**tight, (2, 3): 0.5, (6, 7): 0.4})
    assert sets(form_groups(found, 9, settings)) == {
        frozenset({0, 1, 2}), frozenset({3, 4, 5, 6}), frozenset({7, 8})
    }  # fmt: skip


def test_edges_of_equal_strength_are_cut_together() -> None:
    star = {(0, row): 0.7 for row in range(1, 6)}
    groups = form_groups(edges(star), 6, GroupingConfig(most_members=3, least_density=0))
    assert groups.numbers.max() == 5
    assert np.isnan(groups.weakest).all()


def test_short_neighbour_lists_do_not_make_a_group_loose() -> None:
    ring = {(row, (row + 1) % 6): 0.9 for row in range(6)}
    settings = GroupingConfig(neighbour_count=2, least_density=0.9)
    assert form_groups(edges(ring), 6, settings).numbers.max() == 0


@pytest.mark.parametrize("seed", range(6))
def test_splitting_equals_cutting_edge_by_edge(seed: int) -> None:
    generator = np.random.default_rng(seed)
    count = 24
    pairs = [pair for pair in combinations(range(count), 2) if generator.random() < 0.12]
    # Few different values, so that ties are common.
    values = generator.integers(1, 12, len(pairs)) / 12
    found = edges(dict(zip(pairs, values.tolist(), strict=True)))
    for settings in (SETTINGS, GroupingConfig(most_members=4, least_density=0)):
        assert sets(form_groups(found, count, settings)) == slow_groups(found, count, settings)


def test_the_order_of_products_and_edges_does_not_matter() -> None:
    generator = np.random.default_rng(3)
    pairs = [pair for pair in combinations(range(20), 2) if generator.random() < 0.15]
    values = dict(zip(pairs, generator.uniform(0.5, 1, len(pairs)).tolist(), strict=True))
    straight = sets(form_groups(edges(values), 20, SETTINGS))
    moved = generator.permutation(20)
    shuffled = {(int(moved[a]), int(moved[b])): value for (a, b), value in values.items()}
    back = {int(new): old for old, new in enumerate(moved)}
    turned = sets(form_groups(edges(dict(reversed(shuffled.items()))), 20, SETTINGS))
    assert {frozenset(back[row] for row in group) for group in turned} == straight


def test_a_large_group_needs_ten_ties_per_product_and_not_all() -> None:
    near = {(a, b): 0.9 for a, b in combinations(range(40), 2) if b - a <= 5}
    settings = GroupingConfig(most_members=50, least_density=0.8)
    assert form_groups(edges(near), 40, settings).numbers.max() == 0


def test_no_edges_leave_everything_alone() -> None:
    groups = form_groups(Edges.none(), 3, SETTINGS)
    assert groups.numbers.tolist() == [0, 1, 2]


def test_a_long_chain_is_split_without_recursion() -> None:
    chain = {(row, row + 1): 0.5 + row * 1e-4 for row in range(3000)}
    groups = form_groups(edges(chain), 3001, GroupingConfig(most_members=5, least_density=0))
    assert groups.sizes.max() <= 5


@pytest.mark.parametrize(
    "setting",
    ["--neighbour-count=0", "--most-members=1", "--least-density=1.5", "--most-exact-rows=-1",
     "--thread-count=0"],
)  # fmt: skip
def test_settings_are_checked(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_command_line(GroupingConfig, "group", [setting])
    assert f"{setting.partition('=')[0]} must be" in capsys.readouterr().err
