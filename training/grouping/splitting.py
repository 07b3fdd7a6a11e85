"""Splitting one component where it hangs together least.

Edges are added from the strongest to the weakest. Each part that exists at some threshold is a
node of a tree whose parents are what it merges into at a lower one; from the root down, the first
parts that fit are taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import DisjointSet

from twinshelf.training.grouping.edges import Edges


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a component.

    Attributes:
        members: Rows of its products, rising.
        weakest: Probability of its weakest edge; NaN for one product.
    """

    members: tuple[int, ...]
    weakest: float


@dataclass(slots=True, kw_only=True, eq=False)
class _Node:
    """Products that hang together from some threshold on."""

    size: int
    row: int = -1
    edge_count: int = 0
    weakest: float = math.nan
    children: list[_Node] = field(default_factory=list)

    def members(self) -> list[int]:
        """Returns the rows below, without recursion: chains make deep trees."""
        rows, waiting = [], [self]
        while waiting:
            node = waiting.pop()
            if node.children:
                waiting.extend(node.children)
            else:
                rows.append(node.row)
        return sorted(rows)


def split_component(
    edges: Edges, strengths: npt.NDArray[np.int64], fits: Callable[[int, int], bool]
) -> list[Part]:
    """Raises the threshold within a component until every part fits.

    Args:
        edges: Edges of one connected component.
        strengths: Order of the edges; those of equal strength are cut together.
        fits: Whether a part of so many products and so many edges may stay.

    Returns:
        The parts, in the order of their first rows; a single product always stays.
    """
    waiting, accepted = [_grow(edges, strengths)], []
    while waiting:
        node = waiting.pop()
        if not node.children or fits(node.size, node.edge_count):
            accepted.append(Part(members=tuple(node.members()), weakest=node.weakest))
        else:
            waiting.extend(node.children)
    return sorted(accepted, key=lambda part: part.members[0])


def _grow(edges: Edges, strengths: npt.NDArray[np.int64]) -> _Node:
    """Builds the tree of parts and returns its root."""
    rows = sorted({*edges.left.tolist(), *edges.right.tolist()})
    parts = DisjointSet(rows)
    tops = {row: _Node(size=1, row=row) for row in rows}  # by the root of its products
    listed = sorted(
        zip(
            (-strengths).tolist(),
            edges.left.tolist(),
            edges.right.tolist(),
            edges.probabilities.tolist(),
            strict=True,
        )
    )
    for _, level in groupby(listed, key=lambda edge: edge[0]):
        same = [edge[1:] for edge in level]
        _merge(same, parts, tops)
        for left, _, probability in same:
            node = tops[parts[left]]
            node.edge_count += 1
            node.weakest = min(probability, node.weakest if node.edge_count > 1 else probability)
    return tops[parts[rows[0]]]


def _merge(level: list[tuple[int, int, float]], parts: DisjointSet, tops: dict[int, _Node]) -> None:
    """Joins what edges of one strength connect: each join of any number of parts is one node."""
    joined: dict[int, list[_Node]] = {}
    for left, right, _ in level:
        ours, theirs = parts[left], parts[right]
        if not parts.merge(left, right):
            continue
        nodes = [*joined.pop(ours, [tops[ours]]), *joined.pop(theirs, [tops[theirs]])]
        joined[parts[left]] = nodes
    for root, nodes in joined.items():
        tops[root] = _Node(
            size=sum(node.size for node in nodes),
            edge_count=sum(node.edge_count for node in nodes),
            weakest=min((node.weakest for node in nodes if node.edge_count), default=math.nan),
            children=nodes,
        )
