"""Where a group would part."""

from __future__ import annotations

import itertools
import random

from twinshelf.client.web.group_links import Link, weakest_link


def link(left: str, right: str, score: float) -> Link:
    return Link(left=left, right=right, score=score)


def test_a_chain_parts_at_its_weakest_link() -> None:
    found = weakest_link("abcd", [link("a", "b", 0.9), link("d", "c", 0.5), link("b", "c", 0.8)])
    assert found is not None and found.link == link("d", "c", 0.5) and found.side == {"d"}


def test_a_weak_likeness_beside_strong_ones_holds_nothing_together() -> None:
    links = [link("a", "b", 0.9), link("b", "c", 0.8), link("a", "c", 0.1)]
    found = weakest_link("abc", links)
    assert found is not None and found.link == link("b", "c", 0.8)


def test_what_no_likeness_holds_falls_apart() -> None:
    found = weakest_link("abc", [link("a", "b", 0.9)])
    assert found is not None and found.link is None and found.side == {"c"}


def test_one_product_has_no_weakest_link() -> None:
    assert weakest_link(["a"], []) is None and weakest_link([], []) is None


def test_it_is_the_bottleneck_of_every_way_of_parting() -> None:
    draw = random.Random(0)
    for _ in range(20):
        ids = "abcdef"
        links = [link(*pair, draw.random()) for pair in itertools.combinations(ids, 2)]
        # Of all ways to part the group, the one whose strongest link across is the weakest.
        cuts = [
            (max(each.score for each in links if (each.left in side) != (each.right in side)))
            for size in range(1, 4)
            for side in map(set, itertools.combinations(ids, size))
        ]
        found = weakest_link(ids, links)
        assert found is not None and found.link is not None and found.link.score == min(cuts)
        across = [
            each.score for each in links if (each.left in found.side) != (each.right in found.side)
        ]
        assert max(across) == min(cuts)
