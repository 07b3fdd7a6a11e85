"""Edges: mutual ones, their probabilities, and the union of several kinds of evidence."""

from __future__ import annotations

import numpy as np
import pytest

from twinshelf.training.grouping.edges import Edges, neighbour_edges, unite
from twinshelf.training.retrieval.calibration import Curve
from twinshelf.training.retrieval.exact_search import NO_CANDIDATE, Candidates

CURVE = Curve(scores=(0.0, 1.0), probabilities=(0.0, 1.0))
LISTS = Candidates(
    # 0 and 1 name each other; 2 names 0, which does not name it; 3 names nobody.
    items=np.array([[1], [0], [0], [NO_CANDIDATE]]),
    scores=np.array([[0.9], [0.9], [0.6], [-np.inf]], dtype=np.float32),
)


def edges(*rows: tuple[int, int, float, float]) -> Edges:
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Edges(
        left=table[:, 0].astype(np.int64),
        right=table[:, 1].astype(np.int64),
        scores=table[:, 2],
        probabilities=table[:, 3],
    )


def test_edges_that_only_one_side_sees_are_dropped() -> None:
    found = neighbour_edges(LISTS, np.arange(4), CURVE, 0.5)
    assert list(zip(found.left, found.right, strict=True)) == [(0, 1)]
    assert found.probabilities == pytest.approx([0.9])


def test_edges_are_numbered_by_the_rows_of_the_catalogue() -> None:
    found = neighbour_edges(LISTS, np.array([2, 5, 7, 9]), CURVE, 0.9 - 1e-6)
    assert (found.left.tolist(), found.right.tolist()) == ([2], [5])


def test_pairs_below_the_threshold_are_no_edges() -> None:
    assert len(neighbour_edges(LISTS, np.arange(4), CURVE, 0.95)) == 0


def test_the_union_takes_the_highest_probability_of_a_pair() -> None:
    image = edges((0, 1, 0.9, 0.5), (2, 3, 0.8, 0.8))
    text = edges((0, 1, 0.6, 0.7), (1, 2, 0.4, 0.6))
    found = unite([image, Edges.none(), text])
    listed = sorted(zip(found.left, found.right, found.probabilities, strict=True))
    assert listed == [(0, 1, 0.7), (1, 2, 0.6), (2, 3, 0.8)]
    assert len(unite([Edges.none()])) == len(unite([])) == 0


def test_strength_is_probability_then_score_and_equal_for_equals() -> None:
    found = edges((0, 1, 0.9, 1.0), (1, 2, 0.8, 1.0), (2, 3, 0.9, 0.5), (3, 4, 0.9, 0.5))
    assert found.strengths.tolist() == [2, 1, 0, 0]
