"""The comparison of libraries at a tiny size, with those that are always installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.benchmarks.index.__main__ import Point, compare, draw_clusters, growth_rows, rate_at
from tests.benchmarks.index.libraries import Floats, Library, OurIndex, Usearch
from tests.benchmarks.report import AnswersDifferError

COUNT, DIMENSION, QUERY_COUNT = 2000, 32, 30


class Flat:
    """Looks at every vector; or at none but the first ones."""

    efforts: tuple[int, ...] = (1,)

    def __init__(self, seen_count: int = COUNT) -> None:
        self.seen_count = seen_count

    def build(self, vectors: Floats, folder: Path) -> int:
        self.vectors = vectors[: self.seen_count]
        return int(vectors.nbytes)

    def set_effort(self, effort: int) -> None:
        """Has one effort."""

    def search(self, query: Floats, count: int) -> npt.NDArray[np.int64]:
        return np.argsort(-(self.vectors @ query))[:count]


@pytest.mark.slow
def test_ours_and_usearch_reach_the_recall_of_an_exact_search() -> None:
    libraries: dict[str, Library] = {
        "ours": OurIndex(),
        "f16": Usearch("f16"),
        "i8": Usearch("i8"),
        "flat": Flat(),
    }
    rows = compare(libraries, COUNT, DIMENSION, QUERY_COUNT)
    assert [row["library"] for row in rows] == list(libraries)
    assert all(float(row["best recall@10"] or 0) > 0.98 for row in rows)
    assert rows[0]["ours / this"] == 1.0
    assert float(rows[0]["MB"] or 0) < float(rows[-1]["MB"] or 0) * 3


def test_a_library_that_misses_neighbours_is_not_compared() -> None:
    with pytest.raises(AnswersDifferError, match="blind reaches no recall"):
        compare({"flat": Flat(), "blind": Flat(seen_count=100)}, COUNT, DIMENSION, QUERY_COUNT)


def test_vectors_and_queries_have_length_one() -> None:
    for rows in draw_clusters(COUNT, DIMENSION, QUERY_COUNT):
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_rates_are_read_between_the_efforts_around_a_recall() -> None:
    points = [Point(recall=0.9, rate=1000), Point(recall=1.0, rate=10)]
    assert rate_at(points, 0.95) == pytest.approx(100)
    assert rate_at(points, 0.8) == 1000
    assert rate_at(points[:1], 0.95) is None


def test_growth_is_how_the_rate_falls() -> None:
    (row,) = growth_rows(
        {
            10: [{"library": "ours", "queries/s at 0.99": 300.0}],
            100: [{"library": "ours", "queries/s at 0.99": 200.0}],
        }
    )
    assert row["10 / 100"] == 1.5
