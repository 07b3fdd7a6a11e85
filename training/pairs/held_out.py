"""The validation share of pairs that come without one: no product stands on both sides."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from twinshelf.training.catalogues.product_pair import ProductPair
from twinshelf.training.pairs.pair_config import HeldOutConfig

# Chains of pairs longer than the share cannot be held out; when less than this part of the share
# is left to draw from, validation would say too little.
_LEAST_FILLED = 0.5

Mask = npt.NDArray[np.bool_]
logger = logging.getLogger(__name__)


def held_out_rows(pairs: Sequence[ProductPair], config: HeldOutConfig) -> Mask:
    """Draws the pairs that validation scores.

    Pairs that hang together through shared products are held out together, so that a scorer is
    evaluated on products that it has not seen. Where that leaves a side without a class or less
    than half of the share, because most pairs hang together, pairs are drawn by class instead and
    the products on both sides are counted in a warning.

    Args:
        pairs: Labelled pairs (P); unless drawn by class, their order does not matter.
        config: How many are drawn, and by which seed.

    Returns:
        Whether each pair is held out, bool (P,).

    Raises:
        ValueError: If there are not two pairs of each class.
    """
    labels = np.array([pair.is_match for pair in pairs], dtype=bool)  # (P,)
    match_count = int(labels.sum())
    if min(match_count, len(labels) - match_count) < 2:
        raise ValueError(
            "holding pairs out needs two matches and two non-matches, got "
            f"{match_count} and {len(labels) - match_count}"
        )
    ids = [(pair.left.product_id, pair.right.product_id) for pair in pairs]
    # Sorted identifiers make the numbers, and so the draw, independent of the order of the pairs.
    _, flat = np.unique(np.array(ids), return_inverse=True)
    products = flat.reshape(-1, 2)  # (P, 2)
    held = _draw_components(products, config)
    is_filled = held.sum() >= _LEAST_FILLED * config.validation_share * len(labels)
    if is_filled and all(len(np.unique(labels[side])) == 2 for side in (held, ~held)):
        return held
    held = _draw_by_class(labels, config)
    shared = np.intersect1d(products[held], products[~held])
    logger.warning(
        "validation pairs were drawn one by one, because too many pairs hang together: "
        "%d products stand on both sides, so validation may look better than new products will",
        len(shared),
    )
    return held


def _draw_components(products: npt.NDArray[np.intp], config: HeldOutConfig) -> Mask:
    """Draws whole components of pairs while they fit into the share."""
    count = int(products.max()) + 1
    edges = (np.ones(len(products), np.int8), (products[:, 0], products[:, 1]))
    _, component_of = connected_components(coo_array(edges, shape=(count, count)), directed=False)
    component = component_of[products[:, 0]]  # (P,)
    sizes = np.bincount(component)
    is_held = np.zeros(len(sizes), dtype=bool)
    room = max(1, round(config.validation_share * len(products)))
    for number in np.random.default_rng(config.seed).permutation(len(sizes)):
        if sizes[number] <= room:
            is_held[number] = True
            room -= sizes[number]
    return np.asarray(is_held[component])


def _draw_by_class(labels: Mask, config: HeldOutConfig) -> Mask:
    generator = np.random.default_rng(config.seed)
    held = np.zeros(len(labels), dtype=bool)
    for rows in (np.flatnonzero(labels), np.flatnonzero(~labels)):
        count = min(len(rows) - 1, max(1, round(config.validation_share * len(rows))))
        held[generator.permutation(rows)[:count]] = True
    return held
