"""Retrieval lists drawn at random, in which right products score higher than others."""

from __future__ import annotations

import numpy as np

from twinshelf.training.retrieval.match_probability import OfferLists


def draw_lists(
    *,
    offer_count: int = 600,
    length: int = 20,
    right_count: int = 1,
    lead: float = 0.3,
    seed: int = 0,
) -> OfferLists:
    """Returns lists whose first `right_count` drawn candidates are right."""
    generator = np.random.default_rng(seed)
    is_match = np.broadcast_to(np.arange(length) < right_count, (offer_count, length))
    scores = 0.5 + 0.12 * generator.normal(size=is_match.shape) + lead * is_match
    scores = np.clip(scores, -1, 1)
    order = np.argsort(-scores, axis=1, kind="stable")
    is_match = np.take_along_axis(is_match, order, axis=1)
    return OfferLists(
        scores=np.take_along_axis(scores, order, axis=1),
        image_weights=np.full(scores.shape, 0.4),
        is_match=is_match,
        relevant_counts=is_match.sum(axis=1),
        has_itself=np.zeros(offer_count, dtype=np.bool_),
    )
