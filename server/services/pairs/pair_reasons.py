"""What each feature did to the probability of a pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinshelf.server.encoders.embedding import Floats

_SMALLEST = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What one feature did to one probability.

    Attributes:
        feature: Its name.
        value: Its value; None when a side says nothing of it.
        log_odds: Change of the log odds when the feature is known instead of missing; above zero
            speaks for the same item.
    """

    feature: str
    value: float | None
    log_odds: float


def rows_without_each(row: Floats) -> Floats:
    """Returns the row (F,) and, below it, the rows that miss one feature each: (1 + F, F)."""
    rows = np.tile(row, (len(row) + 1, 1))
    np.fill_diagonal(rows[1:], np.nan)  # a view: the first row stays whole
    return rows


def strongest_reasons(
    names: Sequence[str], row: Floats, probabilities: Floats, count: int
) -> tuple[Reason, ...]:
    """Returns what did most, the strongest first.

    Args:
        names: Names of the features (F).
        row: Their values (F,).
        probabilities: Those of `rows_without_each` (1 + F,).
        count: Most reasons, zero or more.
    """
    bounded = np.clip(probabilities.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    log_odds = np.log(bounded / (1 - bounded))  # (1 + F,)
    effects = log_odds[0] - log_odds[1:]  # (F,)
    order = np.argsort(-np.abs(effects), kind="stable")[:count]
    return tuple(
        Reason(
            feature=names[place],
            value=None if math.isnan(row[place]) else float(row[place]),
            log_odds=float(effects[place]),
        )
        for place in order.tolist()
    )
