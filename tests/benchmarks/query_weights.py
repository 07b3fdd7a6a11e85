"""The graph over unit halves beside one over halves weighted as the encoder says: recall@10.

python -m tests.benchmarks.query_weights

A caller may weigh photo and text otherwise than the encoder. A graph of weighted vectors has its
links where the encoder's weight wants them; one of unit halves has them where no weight does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.benchmarks.filtered_search import DEPTH, make_products
from tests.benchmarks.report import FOLDER, AnswersDifferError, Report, Row
from twinshelf.server.catalogue.index.graph import IndexConfig, search_graph
from twinshelf.server.catalogue.ranking import LEAST_CANDIDATES

SETTINGS = IndexConfig()
IMAGE_WEIGHTS = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0)
ENCODER_WEIGHT = 0.3
LEAST_RECALL = 0.99
Floats = npt.NDArray[np.float32]


def scaled(halves: Floats, image: float) -> Floats:
    """Multiplies the halves of (N, 512) vectors by a weight of the photo and the rest to one."""
    size = halves.shape[1] // 2
    return halves * np.repeat(np.array([image, 1 - image], dtype=np.float32), size)


def compare(halves: Floats, queries: Floats) -> list[Row]:
    """Searches both graphs for the same queries (Q, 512), scored exactly by the same weights.

    Raises:
        AnswersDifferError: If the graph of unit halves loses recall at any weight.
    """
    keys = np.arange(len(halves), dtype=np.uint64)
    # Halves times the roots of the weights: the inner product of two has the weights themselves.
    roots = np.sqrt(
        scaled(np.ones((1, halves.shape[1]), np.float32), ENCODER_WEIGHT), dtype=np.float32
    )
    graphs = {"unit halves": np.ones_like(roots), "weighted halves": roots}
    rows: list[Row] = [{"image weight": image, "text weight": 1 - image} for image in IMAGE_WEIGHTS]
    exact = [_nearest(halves, scaled(queries, image)) for image in IMAGE_WEIGHTS]
    for name, factors in graphs.items():
        graph = SETTINGS.new_graph(halves.shape[1])
        graph.add(keys, halves * factors, threads=SETTINGS.build_thread_count)
        # usearch has this setter, which mypy does not see.
        graph.expansion_search = SETTINGS.search_expansion(len(halves))  # type: ignore[misc]
        for place, image in enumerate(IMAGE_WEIGHTS):
            weighted = scaled(queries, image)
            found = search_graph(graph, np.divide(weighted, factors), LEAST_CANDIDATES)
            best = [
                set(each[np.argsort(-(halves[each] @ query))[:DEPTH]].tolist())
                for each, query in zip(found, weighted, strict=True)
            ]
            shares = [len(a & b) / DEPTH for a, b in zip(best, exact[place], strict=True)]
            rows[place] = {**rows[place], name: float(np.mean(shares))}
    for row in rows:
        recall = row["unit halves"]
        if isinstance(recall, float) and recall < LEAST_RECALL:
            raise AnswersDifferError(f"recall@10 is {recall} with {row}, not {LEAST_RECALL}")
    return rows


def _nearest(halves: Floats, queries: Floats) -> list[set[int]]:
    scores = (-(halves @ query) for query in queries)  # all at once they would take gigabytes
    return [set(np.argpartition(each, DEPTH)[:DEPTH].tolist()) for each in scores]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 1 when unit halves cost recall, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.query_weights",
        description="Graphs of unit halves and of weighted ones, at weights of any caller.",
    )
    parser.add_argument("--products", type=int, default=100_000, help="size of the catalogue")
    parser.add_argument("--queries", type=int, default=300, help="searches at each weight")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    report = Report(name="query_weights")
    report.say(str(report.machine))
    generator = np.random.default_rng(0)
    halves = make_products(generator, options.products).vectors.astype(np.float32)
    queries = halves[generator.integers(len(halves), size=options.queries)]
    try:
        rows = compare(halves, queries)
    except AnswersDifferError as error:
        report.say(f"✗ {error}")
        return 1
    report.add(f"recall@10 of {options.products:,} products with photo and text", rows)
    report.save(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
