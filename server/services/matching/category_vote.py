"""The vote of the nearest products for a category: the arithmetic of `training.categories.knn`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from twinshelf.server.encoders.category_curve import MARGIN_NEIGHBOURS

# Wu et al. 2018, arXiv 1805.01978, section 3.4.
TEMPERATURE: Final = 0.07
# Sums are rounded, so that the order of summation decides no tie.
_DIGITS: Final = 9
# Longest path that votes: so that an answer with 1,000 votes stays below 4 MiB.
PATH_LIMIT_BYTES: Final = 1024
_LEVEL_END: Final = re.compile(r"[/>](?:\s*[/>])*")  # what is empty is no level


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryVotes:
    """How neighbours voted.

    Attributes:
        category: The category with the greatest sum of votes; "" when nobody voted.
        margin: Its share less that of the best other one among the first `MARGIN_NEIGHBOURS`, 0 to
            1; 0 where it is behind there.
        category_shares: Every category to its share of the votes, by falling share; of equal ones
            the one that came first.
        vote_shares: Share of each neighbour that was asked, best first; 0 without a category.
    """

    category: str
    margin: float
    category_shares: dict[str, float]
    vote_shares: tuple[float, ...]


def count_votes(
    categories: Sequence[str], scores: Sequence[float], neighbour_count: int
) -> CategoryVotes:
    """Counts the votes of neighbours; each weighs exp((score - best score) / 0.07).

    Args:
        categories: Category of each neighbour, best first (K); "" has no vote.
        scores: Their scores (K).
        neighbour_count: How many of them choose, 1 or more.
    """
    has_vote = np.array([bool(category) for category in categories])
    if not has_vote[:neighbour_count].any():
        asked_count = min(neighbour_count, len(categories))
        return CategoryVotes(
            category="", margin=0.0, category_shares={}, vote_shares=(0.0,) * asked_count
        )
    # As in training, the best of all that were looked up is the measure.
    known = np.where(has_vote, np.asarray(scores, np.float64), -np.inf)
    weights = np.exp((known - known.max()) / TEMPERATURE)  # (K,)
    sums = _sums(categories[:neighbour_count], weights)
    total = sum(sums.values())
    order = sorted(sums, key=lambda category: -round(sums[category], _DIGITS))  # stable
    wider = _sums(categories[:MARGIN_NEIGHBOURS], weights)
    own = wider.pop(order[0], 0.0)
    margin = (own - max(wider.values(), default=0.0)) / max(own + sum(wider.values()), 1e-12)
    return CategoryVotes(
        category=order[0],
        margin=max(0.0, margin),
        category_shares={category: sums[category] / total for category in order},
        vote_shares=tuple((weights[:neighbour_count] / total).tolist()),
    )


def cut_path(category: str, level_count: int) -> str:
    """Returns the first levels of a category path, as it spells them; 0 levels are all.

    Of a path above `PATH_LIMIT_BYTES`, no more levels than fit; "" where the first does not.
    """
    category = category.strip()
    start = len(category) - len(category.lstrip("/> "))  # a path may begin at its root
    head = category[:PATH_LIMIT_BYTES].encode()[:PATH_LIMIT_BYTES].decode(errors="ignore")
    ends = [match.start() for match in _LEVEL_END.finditer(category, start, len(head) + 1)]
    ends += [len(category)] if head == category else []
    return category[: ends[: level_count or None][-1]].rstrip() if ends else ""


def _sums(categories: Sequence[str], weights: np.ndarray) -> dict[str, float]:
    """Returns the sum of votes of each category, in the order in which they come."""
    sums: dict[str, float] = {}
    for category, weight in zip(categories, weights.tolist(), strict=False):
        if category:
            sums[category] = sums.get(category, 0.0) + weight
    return sums
