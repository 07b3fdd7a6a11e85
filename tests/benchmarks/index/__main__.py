"""The vector index beside other libraries: build time, memory, queries a second at equal recall.

python -m tests.benchmarks.index
python -m tests.benchmarks.index --large --libraries ours hnswlib
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.index.libraries import Floats, Library, make_libraries
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.report import FOLDER, AnswersDifferError, Report, Row
from tests.benchmarks.rounds import time_in_turn

PACKAGES = ("hnswlib", "faiss-cpu", "annoy")
DIMENSION, DEPTH, PER_CLUSTER = 512, 10, 20
SIZES, LARGE_SIZE = (10_000, 100_000), 1_000_000
RECALLS = (0.95, 0.99)
QUERY_COUNT, ROUND_COUNT = 200, 3
# Exact search of many vectors takes long: so many multiplications a round will do.
ROUND_BUDGET = 2 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One effort of a library.

    Attributes:
        recall: Share of the true ten nearest that it finds.
        rate: Queries a second, one after the other.
    """

    recall: float
    rate: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns 1 when a library does not reach the recalls, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.index", description="Libraries of nearest neighbours."
    )
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=list(SIZES), help="vectors, rising")
    add("--large", action="store_true", help=f"{LARGE_SIZE:,} vectors too: an hour, 12 GB")
    add("--libraries", nargs="+", default=[""], help="only those whose names begin so")
    add("--output", type=Path, default=FOLDER, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    report = Report(name="index", machine=describe_machine(PACKAGES))
    report.say(str(report.machine))
    sizes = [*options.sizes, *([LARGE_SIZE] if options.large else [])]
    wanted = tuple(options.libraries)
    tables = {}
    try:
        for size in sizes:
            libraries = {
                name: each for name, each in make_libraries().items() if name.startswith(wanted)
            }
            tables[size] = compare(libraries, size)
            report.add(f"{size:,} clustered vectors of {DIMENSION} numbers", tables[size])
    except AnswersDifferError as error:
        report.say(f"✗ {error}")
        return 1
    if len(sizes) > 1:
        report.add(f"queries/s at recall@10 {RECALLS[-1]}, and how they fall", growth_rows(tables))
    report.save(options.output)
    return 0


def draw_clusters(
    count: int, dimension: int = DIMENSION, query_count: int = QUERY_COUNT
) -> tuple[Floats, Floats]:
    """Draws unit vectors (N, D) in clusters, and queries (Q, D) that are like some."""
    generator = np.random.default_rng(0)
    shape = (max(1, count // PER_CLUSTER), dimension)
    centres = generator.standard_normal(shape, dtype=np.float32)
    vectors = centres[generator.integers(len(centres), size=count)]
    for start in range(0, count, 10_000):  # all at once, the noise would take gigabytes
        block = vectors[start : start + 10_000]
        block += 0.5 * generator.standard_normal(block.shape, dtype=np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    queries = vectors[generator.integers(count, size=query_count)]
    queries = queries + generator.standard_normal(queries.shape, dtype=np.float32) * (
        0.3 / dimension**0.5
    )
    return vectors, queries / np.linalg.norm(queries, axis=1, keepdims=True)


def compare(
    libraries: Mapping[str, Library],
    count: int,
    dimension: int = DIMENSION,
    query_count: int = QUERY_COUNT,
) -> list[Row]:
    """Builds every library over the same vectors, then searches by all of them in turn.

    Raises:
        AnswersDifferError: If one does not reach the least of `RECALLS` with any effort.
    """
    vectors, queries = draw_clusters(count, dimension, query_count)
    truth = [set(row) for row in np.argsort(-(queries @ vectors.T), axis=1)[:, :DEPTH].tolist()]
    builds: dict[str, tuple[float, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, library in libraries.items():
            own = Path(folder) / name.split(":")[0].replace(" ", "_")
            own.mkdir()
            start_s = time.perf_counter()
            size_bytes = library.build(vectors, own)
            builds[name] = (time.perf_counter() - start_s, size_bytes)
        points = _search_all(libraries, queries, truth, count)
    first = next(iter(libraries))
    return [
        {
            "library": name,
            "build s": builds[name][0],
            "MB": builds[name][1] / 1e6,
            **{
                f"queries/s at {recall}": rate_at(points[name], recall) or "not reached"
                for recall in RECALLS
            },
            "ours / this": _ratio(points[first], points[name]),
            "best recall@10": max(point.recall for point in points[name]),
        }
        for name in libraries
    ]


def rate_at(points: Sequence[Point], recall: float) -> float | None:
    """Returns the queries a second at a recall, between the two efforts around it.

    Returns:
        None where no effort reaches it; the rate of the least effort where that does already.
    """
    for low, high in itertools.pairwise(points):
        if low.recall >= recall:
            return low.rate
        if high.recall >= recall:
            share = (recall - low.recall) / (high.recall - low.recall)
            return float(low.rate ** (1 - share) * high.rate**share)
    return points[-1].rate if points[-1].recall >= recall else None


def growth_rows(tables: Mapping[int, Sequence[Row]]) -> list[Row]:
    """Returns the rate of each library by size, and by how much it falls from size to size."""
    column = f"queries/s at {RECALLS[-1]}"
    rows: list[Row] = []
    for name in (row["library"] for row in next(iter(tables.values()))):
        rates = {
            size: next(row[column] for row in table if row["library"] == name)
            for size, table in tables.items()
        }
        row: dict[str, str | int | float | None] = {"library": name}
        row |= {f"{size:,}": rate for size, rate in rates.items()}
        for (small, before), (large, after) in itertools.pairwise(rates.items()):
            if isinstance(before, float) and isinstance(after, float):
                row[f"{small:,} / {large:,}"] = before / after
        rows.append(row)
    return rows


def _search_all(
    libraries: Mapping[str, Library], queries: Floats, truth: Sequence[set[int]], count: int
) -> dict[str, list[Point]]:
    """Returns the point of each effort of each library; the libraries take turns."""
    points: dict[str, list[Point]] = {name: [] for name in libraries}
    exact_count = max(10, min(len(queries), ROUND_BUDGET // (count * queries.shape[1])))
    for place in range(max(len(library.efforts) for library in libraries.values())):
        sides, timed_counts, recalls = {}, {}, {}
        for name, library in libraries.items():
            if place >= len(library.efforts):
                continue
            library.set_effort(library.efforts[place])
            timed_counts[name] = exact_count if len(library.efforts) == 1 else len(queries)
            sides[name] = _searcher(library, queries[: timed_counts[name]])
            # Before the time is taken: what was just mapped is read from the disk here.
            found = [set(library.search(query, DEPTH).tolist()) for query in queries]
            shares = [len(a & b) / DEPTH for a, b in zip(found, truth, strict=True)]
            recalls[name] = float(np.mean(shares))
        times_s = time_in_turn(sides, round_count=ROUND_COUNT)
        for name, time_s in times_s.items():
            rate = timed_counts[name] / time_s
            points[name].append(Point(recall=recalls[name], rate=rate))
    for name, each in points.items():
        if max(point.recall for point in each) < RECALLS[0]:
            raise AnswersDifferError(f"{name} reaches no recall of {RECALLS[0]}: {each}")
    return points


def _searcher(library: Library, queries: Floats) -> Callable[[], None]:
    def search() -> None:
        for query in queries:
            library.search(query, DEPTH)

    return search


def _ratio(first: Sequence[Point], other: Sequence[Point]) -> float | None:
    ours, theirs = (rate_at(points, RECALLS[-1]) for points in (first, other))
    return ours / theirs if ours and theirs else None


if __name__ == "__main__":
    sys.exit(main())
