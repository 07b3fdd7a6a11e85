"""Evidence: for each modality pattern, the pairs that are probably the same."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from twinshelf.server.catalogue.groups.amounts import do_amounts_clash, read_amounts
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.grouping.edges import Edges, neighbour_edges
from twinshelf.training.grouping.grouping_config import GroupingConfig
from twinshelf.training.retrieval.calibration import Calibration
from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import Candidates, retrieve
from twinshelf.training.retrieval.fusion_weight import pattern_weights
from twinshelf.training.retrieval.indexed_search import search_index

logger = logging.getLogger(__name__)

EXPANSION = 128


def gather_evidence(
    products: EmbeddedProducts,
    *,
    calibration: Calibration,
    fusion_weight: float,
    config: GroupingConfig,
) -> dict[str, Edges]:
    """Searches the catalogue in itself, by each pattern among the products that have it.

    Args:
        products: The catalogue.
        calibration: Patterns without a curve are left out.
        fusion_weight: w, the weight of the image in "both", 0 to 1.
        config: How neighbours are searched.

    Returns:
        Modality pattern to the pairs that it accepts, by its threshold.
    """
    edges = {}
    for pattern, weight in pattern_weights(fusion_weight).items():
        rows = np.flatnonzero(products.with_pattern(pattern))
        if pattern not in calibration.curves or len(rows) < 2:
            continue
        neighbours = nearest_products(products.embeddings.rows(rows), weight, config)
        edges[pattern] = neighbour_edges(
            neighbours, rows, calibration.curves[pattern], calibration.thresholds[pattern]
        )
    return edges


def nearest_products(
    products: ProductEmbeddings, image_weight: float, config: GroupingConfig
) -> Candidates:
    """Returns the nearest other products of each product, best first.

    Args:
        products: Two or more products that all have the modalities with a weight (N).
        image_weight: Weight of the image in the score, 0 to 1.
        config: Count of neighbours, and up to which size the search is exact.

    Returns:
        Rows and scores, (N, K); K is the neighbour count, but at most N - 1.
    """
    count = min(config.neighbour_count, len(products) - 1)
    itself = np.arange(len(products), dtype=np.int64)
    if len(products) > config.most_exact_rows:
        logger.info("indexing %d products", len(products))
        return search_index(
            products,
            products,
            image_weight=image_weight,
            k=count,
            excluded=itself,
            expansion=max(EXPANSION, 2 * count),
            thread_count=config.thread_count,
        )
    return retrieve(
        products,
        products,
        image_weight=image_weight,
        k=count,
        excluded=itself,
        device=config.device,
    ).candidates


def without_clashes(edges: Edges, titles: Sequence[str]) -> Edges:
    """Drops the pairs whose titles state different amounts, such as 250 ml and 400 ml.

    Args:
        edges: Pairs of products.
        titles: Titles of the products, by row.
    """
    amounts = [read_amounts(title) for title in titles]
    pairs = zip(edges.left.tolist(), edges.right.tolist(), strict=True)
    is_clash = [do_amounts_clash(amounts[left], amounts[right]) for left, right in pairs]
    return edges.rows(~np.array(is_clash, dtype=np.bool_))
