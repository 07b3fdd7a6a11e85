"""Groups: connected components of the edges; too large or too loose ones are split.

To split one where it hangs together least, edges are added from the strongest to the weakest. Each
part that exists at some threshold is a node of a tree whose parents are what it merges into at a
lower one; from the root down, the first parts that fit are taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.cluster.hierarchy import DisjointSet
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from twinshelf.training.grouping.edges import Edges, Floats, Ints
from twinshelf.training.grouping.grouping_config import GroupingConfig

MOST_TIES = 10


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
        return rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """The group of each product.

    Attributes:
        numbers: Number of the group, int64 (N,), counted from 0 by the group's first row.
        weakest: Probability of the weakest edge that was kept in the product's group, 0 to 1,
            float64 (N,); NaN for a product that is alone.
        precision: Estimated share of the edges in the product's group that are right, 0 to 1,
            float64 (N,): the mean of their probabilities; NaN for a product that is alone.
    """

    numbers: Ints
    weakest: Floats
    precision: Floats

    @property
    def sizes(self) -> Ints:
        """Members of each product's group, itself included, int64 (N,)."""
        return np.bincount(self.numbers)[self.numbers] if len(self.numbers) else self.numbers


def form_groups(edges: Edges, product_count: int, config: GroupingConfig) -> Groups:
    """Forms groups of products that hang together.

    Components with more than `most_members`, or with less than `least_density` of the edges that
    they could have, are split by raising the threshold within them until every part fits. The
    result does not depend on the order of the products or of the edges.

    Args:
        edges: Probable pairs.
        product_count: Products in the catalogue (N).
        config: The guards.
    """
    graph = coo_array(
        (np.ones(len(edges), dtype=np.int8), (edges.left, edges.right)),
        shape=(product_count, product_count),
    )
    _, components = connected_components(graph, directed=False)
    components = components.astype(np.int64)
    sizes = np.bincount(components, minlength=1)
    of_edge = components[edges.left]
    edge_counts = np.bincount(of_edge, minlength=len(sizes))
    weakest_of = np.full(len(sizes), np.inf)
    np.minimum.at(weakest_of, of_edge, edges.probabilities)
    weakest = np.where(sizes > 1, weakest_of, np.nan)[components]
    wrong = ~fits(sizes, edge_counts, config)
    numbers = components.copy()
    if wrong.any():
        _split(edges, of_edge, np.flatnonzero(wrong), config, numbers, weakest)
    numbers = pd.factorize(numbers)[0].astype(np.int64)  # by the first row
    return Groups(numbers=numbers, weakest=weakest, precision=_precision(edges, numbers))


def fits(
    sizes: npt.NDArray[np.integer], edge_counts: npt.NDArray[np.integer], config: GroupingConfig
) -> npt.NDArray[np.bool_]:
    """Returns whether groups pass the size guard and the density guard.

    A product of a large group need not resemble all the others: `MOST_TIES` edges, or as many as
    its neighbour list is long, are all that it could have.

    Args:
        sizes: Members of each group, 1 or more.
        edge_counts: Edges within each group.
        config: The guards.
    """
    reach = np.minimum(sizes - 1, min(config.neighbour_count, MOST_TIES))
    possible = np.maximum(sizes * reach / 2, 1)
    is_dense = (sizes <= 2) | (edge_counts >= config.least_density * possible - 1e-9)
    return is_dense & (sizes <= config.most_members)


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


def _split(
    edges: Edges,
    of_edge: Ints,
    wrong: Ints,
    config: GroupingConfig,
    numbers: Ints,
    weakest: Floats,
) -> None:
    """Splits the given components, writing numbers and weakest edges of their products."""
    strengths = edges.strengths
    order = np.argsort(of_edge, kind="stable")
    bounds = np.searchsorted(of_edge[order], np.stack([wrong, wrong + 1]))
    following = int(numbers.max()) + 1
    for start, stop in bounds.T.tolist():
        chosen = order[start:stop]
        waiting = [_grow(edges.rows(chosen), strengths[chosen])]
        while waiting:
            node = waiting.pop()
            size, edge_count = np.array([node.size]), np.array([node.edge_count])
            if node.children and not fits(size, edge_count, config)[0]:
                waiting.extend(node.children)
                continue
            rows = node.members()
            numbers[rows], weakest[rows] = following, node.weakest
            following += 1


def _precision(edges: Edges, numbers: Ints) -> Floats:
    """Returns the mean probability of the edges within each product's group."""
    is_within = numbers[edges.left] == numbers[edges.right]
    of_edge, probabilities = numbers[edges.left[is_within]], edges.probabilities[is_within]
    group_count = int(numbers.max(initial=-1)) + 1
    counts = np.bincount(of_edge, minlength=group_count)
    sums = np.bincount(of_edge, weights=probabilities, minlength=group_count)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)[numbers]
