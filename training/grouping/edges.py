"""Edges: pairs of products that are probably the same, from one kind of evidence or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from twinshelf.training.retrieval.calibration import Curve
from twinshelf.training.retrieval.exact_search import Candidates

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Edges:
    """Pairs of products, each once.

    Attributes:
        left: Row of the product with the smaller row, int64 (E,).
        right: Row of the other, int64 (E,).
        scores: Scores of the pairs, -1 to 1, float64 (E,).
        probabilities: Probability of the same product, 0 to 1, float64 (E,).
    """

    left: Ints
    right: Ints
    scores: Floats
    probabilities: Floats

    def __len__(self) -> int:
        return len(self.left)

    def rows(self, selection: npt.NDArray[np.bool_] | Ints) -> Edges:
        """Returns the selected edges."""
        parts = {part.name: getattr(self, part.name)[selection] for part in fields(self)}
        return Edges(**parts)

    @classmethod
    def none(cls) -> Self:
        """Returns no edges."""
        empty = np.zeros(0)
        rows = empty.astype(np.int64)
        return cls(left=rows, right=rows, scores=empty, probabilities=empty)

    @property
    def strengths(self) -> Ints:
        """Order of the edges by probability, then by score, int64 (E,); equal ones are equal.

        A calibration curve is flat at its ends, where only the score still tells edges apart.
        """
        keys = np.round(np.stack([self.probabilities, self.scores], axis=1), 9)
        return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def neighbour_edges(neighbours: Candidates, rows: Ints, curve: Curve, threshold: float) -> Edges:
    """Turns pairs of products that are both in the other's list into edges with probabilities.

    Args:
        neighbours: Neighbours of each product, numbered within the list (N, K).
        rows: Row of each of these products in the whole catalogue, rising, int64 (N,).
        curve: Score to probability.
        threshold: Lowest score of an edge.
    """
    # Most neighbours are none that matter: of a million products all of them take gigabytes.
    places, columns = np.nonzero((neighbours.items >= 0) & (neighbours.scores >= threshold))
    others = neighbours.items[places, columns]
    scores = neighbours.scores[places, columns].astype(np.float64)
    small, large = np.minimum(places, others), np.maximum(places, others)
    keys = small * len(rows) + large
    _, firsts, counts = np.unique(keys, return_index=True, return_counts=True)
    # A pair comes once from either list; both give one score but for rounding.
    kept = firsts[counts == 2]
    return Edges(
        left=rows[small[kept]],
        right=rows[large[kept]],
        scores=scores[kept],
        probabilities=curve.probability(scores[kept]),
    )


def unite(kinds: Sequence[Edges]) -> Edges:
    """Joins the edges of several kinds of evidence; a pair takes its highest probability."""
    if not kinds:
        return Edges.none()
    joined = Edges(
        **{part.name: np.concatenate([getattr(edges, part.name) for edges in kinds])
           for part in fields(Edges)}
    )  # fmt: skip
    order = np.lexsort((-joined.scores, -joined.probabilities, joined.right, joined.left))
    left, right = joined.left[order], joined.right[order]
    is_first = np.ones(len(order), dtype=np.bool_)
    is_first[1:] = (np.diff(left) != 0) | (np.diff(right) != 0)
    return joined.rows(order[is_first])
