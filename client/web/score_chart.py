"""Two distributions of scores on one axis, as shapes that a page draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BIN_COUNT: Final = 24
WIDTH: Final = 480
HEIGHT: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar of a chart, in its own units from the upper left corner.

    Attributes:
        x: Left edge.
        y: Upper edge.
        width: Of the bar.
        height: Of the bar.
        count: Scores that it stands for.
    """

    x: float
    y: float
    width: float
    height: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreChart:
    """The scores of two answers, each as a row of bars of `WIDTH` by `HEIGHT`.

    Attributes:
        least: Score at the left end.
        greatest: Score at the right end.
        rows: Bars of the first answer, then of the second.
        means: Mean score of each; None without any.
    """

    least: float
    greatest: float
    rows: tuple[tuple[Bar, ...], ...]
    means: tuple[float | None, ...]


def draw_scores(left: Sequence[float], right: Sequence[float]) -> ScoreChart | None:
    """Draws two distributions on one axis; None when there is no score at all.

    Args:
        left: Scores of the first answer.
        right: Scores of the second.
    """
    both = [*left, *right]
    if not both:
        return None
    # Tenths at both ends, so that two charts can be laid beside each other.
    least = math.floor(min(both) * 10) / 10
    greatest = max(math.ceil(max(both) * 10) / 10, least + 0.1)
    counts = [_count(scores, least, greatest) for scores in (left, right)]
    highest = max(max(row) for row in counts)
    return ScoreChart(
        least=least,
        greatest=greatest,
        rows=tuple(_bars(row, highest) for row in counts),
        means=tuple(sum(each) / len(each) if each else None for each in (left, right)),
    )


def _count(scores: Sequence[float], least: float, greatest: float) -> list[int]:
    counts = [0] * BIN_COUNT
    for score in scores:
        place = int((score - least) / (greatest - least) * BIN_COUNT)
        counts[min(max(place, 0), BIN_COUNT - 1)] += 1
    return counts


def _bars(counts: Sequence[int], highest: int) -> tuple[Bar, ...]:
    width = WIDTH / BIN_COUNT
    return tuple(
        Bar(
            x=place * width + 1,
            y=HEIGHT * (1 - count / highest),
            width=width - 2,
            height=HEIGHT * count / highest,
            count=count,
        )
        for place, count in enumerate(counts)
        if count
    )
