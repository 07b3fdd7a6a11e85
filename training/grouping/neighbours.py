"""Nearest products of each product of one catalogue: exact, or by an index where it is large."""

from __future__ import annotations

import logging
import math

import numpy as np
import numpy.typing as npt
from usearch.index import BatchMatches, Index

from training.embeddings import ModalityWeights, ProductEmbeddings
from training.grouping.settings import GroupingSettings
from training.relevance import RelevantPairs
from training.retrieval import NO_CANDIDATE, Candidates, retrieve

logger = logging.getLogger(__name__)

CONNECTIVITY = 16
EXPANSION = 128
SCORED_AT_ONCE = 4096


def nearest_products(
    products: ProductEmbeddings, weights: ModalityWeights, settings: GroupingSettings
) -> Candidates:
    """Returns the nearest other products of each product, best first.

    Args:
        products: Products that all have the modalities with a weight (N).
        weights: Weights of the modalities.
        settings: Count of neighbours, and up to which size the search is exact.

    Returns:
        Rows and scores, (N, K); K is the neighbour count, but at most N - 1.
    """
    count = min(settings.neighbour_count, len(products) - 1)
    if count < 1:
        none = np.zeros((len(products), 0))
        return Candidates(items=none.astype(np.int64), scores=none.astype(np.float32))
    if len(products) > settings.most_exact_rows:
        logger.info("indexing %d products", len(products))
        return _approximate(products, weights, count, settings.thread_count)
    nothing = np.zeros(0, dtype=np.int64)
    return retrieve(
        products,
        products,
        weights=weights,
        relevant=RelevantPairs(query_count=len(products), queries=nothing, items=nothing),
        k=count,
        excluded=np.arange(len(products), dtype=np.int64),
        device=settings.device,
    ).candidates


def _approximate(
    products: ProductEmbeddings, weights: ModalityWeights, count: int, thread_count: int
) -> Candidates:
    """Finds neighbours by usearch in half precision, and scores them exactly."""
    rows = _fused(products, weights)
    index = Index(
        ndim=rows.shape[1],
        metric="ip",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION,
        expansion_search=max(EXPANSION, 2 * count),
    )
    index.add(np.arange(len(rows), dtype=np.uint64), rows, threads=thread_count)
    items = np.full((len(rows), count), NO_CANDIDATE, dtype=np.int64)
    scores = np.full((len(rows), count), -np.inf, dtype=np.float32)
    for start in range(0, len(rows), SCORED_AT_ONCE):
        block = rows[start : start + SCORED_AT_ONCE]
        found = index.search(block, count + 1, threads=thread_count)
        assert isinstance(found, BatchMatches)  # a batch went in
        near = found.keys.astype(np.int64)
        own = np.arange(start, start + len(block))[:, None]
        # Beyond the counts there is padding, which must never be read as products.
        usable = (np.arange(near.shape[1]) < np.asarray(found.counts)[:, None]) & (near != own)
        near[~usable] = 0
        exact = np.einsum("bd,bkd->bk", block, rows[near])
        exact[~usable] = -np.inf
        order = np.argsort(-exact, axis=1, kind="stable")[:, :count]
        best = np.take_along_axis(exact, order, axis=1)
        picked = np.take_along_axis(near, order, axis=1)
        items[start : start + len(block), : order.shape[1]] = np.where(
            np.isneginf(best), NO_CANDIDATE, picked
        )
        scores[start : start + len(block), : order.shape[1]] = best
    return Candidates(items=items, scores=scores)


def _fused(products: ProductEmbeddings, weights: ModalityWeights) -> npt.NDArray[np.float32]:
    """Returns unit rows whose inner product is the score, float32 (N, D)."""
    total = weights.image + weights.text
    halves = [
        half * np.float32(math.sqrt(weight / total))
        for half, weight in ((products.image, weights.image), (products.text, weights.text))
        if weight > 0
    ]
    return np.ascontiguousarray(np.concatenate(halves, axis=1, dtype=np.float32))
