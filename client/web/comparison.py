"""Two answers to one offer side by side: what moved, and how much they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinshelf.client.records import Match


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerComparison:
    """Two answers to one offer.

    Attributes:
        left: Where each match of the first stands in the second, a rank from 1; None for nowhere.
        right: Where each match of the second stands in the first.
        shared_count: Products that both have.
        depth: Matches of the longer answer.
        agreement: Average overlap of their beginnings, 0 to 1: 1 for equal orders, and when both
            are empty. Source: Fagin, Kumar and Sivakumar, Comparing Top k Lists (2003).
    """

    left: tuple[int | None, ...]
    right: tuple[int | None, ...]
    shared_count: int
    depth: int
    agreement: float


def compare_answers(left: Sequence[Match], right: Sequence[Match]) -> AnswerComparison:
    """Compares two answers.

    Args:
        left: Matches of the first, best first.
        right: Matches of the second, best first.
    """
    left_ids, right_ids = ([match.product.product_id for match in side] for side in (left, right))
    depth = max(len(left_ids), len(right_ids))
    return AnswerComparison(
        left=_ranks_in(right_ids, left_ids),
        right=_ranks_in(left_ids, right_ids),
        shared_count=len(set(left_ids) & set(right_ids)),
        depth=depth,
        agreement=_agreement(left_ids, right_ids, depth),
    )


def _ranks_in(others: Sequence[str], ids: Sequence[str]) -> tuple[int | None, ...]:
    ranks = {product_id: rank for rank, product_id in enumerate(others, start=1)}
    return tuple(map(ranks.get, ids))


def _agreement(left: Sequence[str], right: Sequence[str], depth: int) -> float:
    if not depth:
        return 1.0
    seen_left: set[str] = set()
    seen_right: set[str] = set()
    total = 0.0
    for place in range(depth):
        seen_left.update(left[place : place + 1])
        seen_right.update(right[place : place + 1])
        total += len(seen_left & seen_right) / (place + 1)
    return total / depth
