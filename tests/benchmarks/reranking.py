"""Offline trial of re-ranking: by the other modality, by query expansion, by blending neighbours.

    python -m tests.benchmarks.reranking --run runs/generated

Settings are chosen by MAP on half of the groups, and figures are those of the other half.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from twinshelf.training.evaluation.embedded_products import EmbeddedProducts, Embedder
from twinshelf.training.retrieval.embeddings import Floats, ProductEmbeddings

METRICS = ("R@1", "R@10", "MAP")
PATTERNS = {"photo": "image", "text": "text", "both": "both"}


def vectors(embeddings: ProductEmbeddings, pattern: str, fusion_weight: float) -> Floats:
    """Returns rows (N, D) whose inner products are the scores of a pattern."""
    if pattern != "both":
        return embeddings.image if pattern == "image" else embeddings.text
    parts = [fusion_weight**0.5 * embeddings.image, (1 - fusion_weight) ** 0.5 * embeddings.text]
    return np.concatenate(parts, axis=1)


def blend(rows: Floats, others: Floats, count: int, power: float, threshold: float) -> Floats:
    """Adds to each unit row its nearest others from a score on, weighted by score ** power."""
    scores = rows @ others.T  # (N, M)
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, :count]  # (N, count)
    found = np.take_along_axis(scores, nearest, axis=1)
    weights = np.where(found >= threshold, np.maximum(found, 0) ** power, 0)
    mixed = rows + np.einsum("nk,nkd->nd", weights, others[nearest])
    lengths = np.linalg.norm(mixed, axis=1, keepdims=True)
    return np.asarray(mixed / np.maximum(lengths, 1e-12), np.float32)


def reorder(first: Floats, second: Floats, count: int) -> Floats:
    """Returns scores (N, M) that order the best of the first by the second, the rest after them."""
    top = np.argsort(-first, axis=1, kind="stable")[:, :count]
    scores = first.copy()
    raised = np.take_along_axis(second, top, axis=1) + 10  # above any cosine
    np.put_along_axis(scores, top, raised, axis=1)
    return scores


def measure(scores: Floats, is_right: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Returns recall@1, recall@10 and average precision of each query, (N, 3)."""
    order = np.argsort(-scores, axis=1, kind="stable")
    right = np.take_along_axis(is_right, order, axis=1)
    precision = right.cumsum(axis=1) / np.arange(1, right.shape[1] + 1)
    average = (precision * right).sum(axis=1) / right.sum(axis=1)
    return np.stack([right[:, 0], right[:, :10].any(axis=1), average], axis=1)


def interval(
    differences: npt.NDArray[np.float64], groups: Sequence[str], draws: int = 1000
) -> npt.NDArray[np.float64]:
    """Returns 95 % intervals (2, 3) of the mean difference, groups drawn with replacement."""
    _, numbers = np.unique(groups, return_inverse=True)
    counts = np.bincount(numbers).astype(np.float64)  # (G,)
    sums = np.stack([np.bincount(numbers, column) for column in differences.T], axis=1)  # (G, 3)
    drawn = np.random.default_rng(0).multinomial(
        len(counts), [1 / len(counts)] * len(counts), draws
    )
    means = (drawn @ sums) / (drawn @ counts)[:, None]
    return np.asarray(np.quantile(means, (0.025, 0.975), axis=0))


def trials(
    queries: EmbeddedProducts, gallery: EmbeddedProducts, pattern: str, share: float
) -> Iterator[tuple[str, str, Floats]]:
    """Yields method, setting and scores (N, M); the plain search comes first."""
    q, g = (vectors(each.embeddings, pattern, share) for each in (queries, gallery))
    yield "plain", "", q @ g.T
    for k, alpha in product((1, 2, 3, 5, 10), (0, 1, 3, 8)):
        yield "query expansion", f"k={k} alpha={alpha}", blend(q, g, k, alpha, -1) @ g.T
    for k, least in product((2, 5, 10), (0.5, 0.7, 0.8, 0.9)):
        scores = blend(q, g, k, 1, least) @ blend(g, g, k, 1, least).T
        yield "blending", f"k={k} from {least}", scores
    if pattern == "both":
        photo = queries.embeddings.image @ gallery.embeddings.image.T
        text = queries.embeddings.text @ gallery.embeddings.text.T
        for k in (5, 10, 20, 40, 100):
            yield "photo, then title", f"K={k}", reorder(photo, text, k)
            yield "title, then photo", f"K={k}", reorder(text, photo, k)


def compare(
    queries: EmbeddedProducts, gallery: EmbeddedProducts, pattern: str, share: float
) -> Iterator[tuple[str, ...]]:
    """Yields a row of each method: its setting, and its figures on the half not tuned on."""
    queries = queries.rows(queries.with_pattern(pattern))
    groups = np.array(queries.groups)
    is_right = groups[:, None] == np.array(gallery.groups)
    names = np.random.default_rng(0).permutation(np.unique(groups))
    is_tuned = np.isin(groups, names[::2])
    best: dict[str, tuple[float, str, npt.NDArray[np.float64]]] = {}
    for method, setting, scores in trials(queries, gallery, pattern, share):
        figures = measure(scores, is_right)
        tuned = float(figures[is_tuned, 2].mean())
        if method not in best or tuned > best[method][0]:
            best[method] = (tuned, setting, figures[~is_tuned])
    plain = best["plain"][2]
    for method, (_, setting, figures) in best.items():
        low, high = interval(figures - plain, list(groups[~is_tuned]))
        change = figures.mean(axis=0) - plain.mean(axis=0)
        cells = [
            f"{value:.3f}" + (f" {c:+.3f} ({a:+.3f}–{b:+.3f})" if method != "plain" else "")
            for value, c, a, b in zip(figures.mean(axis=0), change, low, high, strict=True)
        ]
        yield method, setting, *cells


def main(arguments: Sequence[str] | None = None) -> int:
    """Embeds the queries and the gallery of a run, and prints a table for each pattern."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.reranking", description=__doc__
    )
    parser.add_argument(
        "--run", type=Path, default=Path("runs/generated"), help="folder of the run"
    )
    options = parser.parse_args(arguments)
    embedder = Embedder.of_run(options.run, "cpu")
    queries, gallery = (
        embedder.embed(name, embedder.read(name, (), {}), are_passages=name == "gallery")
        for name in ("queries", "gallery")
    )
    queries = queries.rows(np.isin(queries.groups, sorted(set(gallery.groups) - {""})))
    console = Console(width=140, highlight=False)
    console.print(f"{len(queries)} queries, {len(gallery)} products")
    for title, pattern in PATTERNS.items():
        table = Table(f"by {title}", "setting", *METRICS, box=None)
        for row in compare(queries, gallery, pattern, embedder.fusion_weight):
            table.add_row(*row)
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
