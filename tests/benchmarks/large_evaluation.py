"""A whole evaluation of many offers against as many products: its time, and the memory it needs.

python -m tests.benchmarks.large_evaluation --count 100000
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence

import numpy as np

from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.evaluation.evaluation_config import EvaluationConfig
from twinshelf.training.evaluation.evaluator import evaluate
from twinshelf.training.retrieval.embeddings import Floats, ProductEmbeddings

CATEGORY_COUNT = 100
KIB_PER_GIB = 1024**2


def draw_products(
    centres: Floats, noise: float, name: str, generator: np.random.Generator
) -> EmbeddedProducts:
    """Draws one photo embedding of each group, at a distance from its centre.

    Args:
        centres: Unit rows (N, D), one a group.
        noise: Size of the distance, 0 or more, in lengths of a centre.
        name: First part of the identifiers.
        generator: Source of randomness.
    """
    count, dim = centres.shape
    drift = generator.standard_normal((count, dim), dtype=np.float32) * (noise / dim**0.5)
    rows = centres + drift
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return EmbeddedProducts(
        embeddings=ProductEmbeddings(image=rows, text=np.zeros((count, dim), dtype=np.float32)),
        product_ids=tuple(f"{name}{number}" for number in range(count)),
        groups=tuple(f"g{number}" for number in range(count)),
        categories=tuple(f"c{number % CATEGORY_COUNT}" for number in range(count)),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluates made-up embeddings; prints time, peak memory and recall@1."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.large_evaluation",
        description="Evaluate N made-up offers against N products.",
    )
    parser.add_argument("--count", type=int, default=100_000, help="N (default: %(default)s)")
    parser.add_argument("--dim", type=int, default=256, help="numbers of an embedding")
    options = parser.parse_args(arguments)
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((options.count, options.dim), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    gallery, queries = (draw_products(centres, 1.5, name, generator) for name in ("p", "q"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start_s = time.perf_counter()
    result = evaluate(queries, gallery, fusion_weight=0.5, config=EvaluationConfig()).result
    duration_s = time.perf_counter() - start_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    recall = result.patterns["image"].metrics["R@1"].value
    sys.stdout.write(
        f"{options.count} offers against {options.count} products: {duration_s:.0f} s, peak memory "
        f"{peak / KIB_PER_GIB:.1f} GiB ({before / KIB_PER_GIB:.1f} before), recall@1 {recall:.3f}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
