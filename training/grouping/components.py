"""Groups: connected components of the edges; too large or too loose ones are split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from twinshelf.training.grouping.edges import Edges
from twinshelf.training.grouping.grouping_config import GroupingConfig
from twinshelf.training.grouping.splitting import split_component

MOST_TIES = 10
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


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

    @property
    def group_count(self) -> int:
        """Groups, those of one product included."""
        return int(self.numbers.max()) + 1 if len(self.numbers) else 0


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
    numbers = _renumbered(numbers)
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
        parts = split_component(
            edges.rows(chosen),
            strengths[chosen],
            lambda size, edge_count: bool(
                fits(np.array([size]), np.array([edge_count]), config)[0]
            ),
        )
        for part in parts:
            rows = np.array(part.members, dtype=np.int64)
            numbers[rows] = following
            weakest[rows] = part.weakest
            following += 1


def _precision(edges: Edges, numbers: Ints) -> Floats:
    """Returns the mean probability of the edges within each product's group."""
    is_within = numbers[edges.left] == numbers[edges.right]
    of_edge, probabilities = numbers[edges.left[is_within]], edges.probabilities[is_within]
    group_count = int(numbers.max(initial=-1)) + 1
    counts = np.bincount(of_edge, minlength=group_count)
    sums = np.bincount(of_edge, weights=probabilities, minlength=group_count)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)[numbers]


def _renumbered(numbers: Ints) -> Ints:
    """Numbers groups by their first row."""
    if not len(numbers):
        return numbers
    _, firsts, places = np.unique(numbers, return_index=True, return_inverse=True)
    ranks = np.empty(len(firsts), dtype=np.int64)
    ranks[np.argsort(firsts)] = np.arange(len(firsts))
    return ranks[places.reshape(-1)]
