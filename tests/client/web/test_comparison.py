"""Two answers side by side."""

from __future__ import annotations

import random

import pytest

from twinshelf.client.records import Match, Product
from twinshelf.client.web.comparison import compare_answers
from twinshelf.client.web.score_chart import BIN_COUNT, HEIGHT, WIDTH, draw_scores


def matches(ids: str) -> list[Match]:
    return [
        Match(
            product=Product(product_id=each),
            score=0.5,
            probability=0.5,
            is_match=False,
            pattern="text",
            image_score=None,
            text_score=0.5,
        )
        for each in ids
    ]


def test_ranks_in_the_other_answer_are_told() -> None:
    found = compare_answers(matches("abcd"), matches("bae"))
    assert found.left == (2, 1, None, None) and found.right == (2, 1, None)
    assert (found.shared_count, found.depth) == (2, 4)


def test_the_agreement_is_the_mean_overlap_of_all_beginnings() -> None:
    draw = random.Random(0)
    for _ in range(50):
        left = draw.sample("abcdefgh", draw.randint(0, 8))
        right = draw.sample("abcdefgh", draw.randint(0, 8))
        depth = max(len(left), len(right))
        slow = [len(set(left[:d]) & set(right[:d])) / d for d in range(1, depth + 1)]
        found = compare_answers(matches("".join(left)), matches("".join(right)))
        assert found.agreement == pytest.approx(sum(slow) / depth if depth else 1.0)


def test_equal_answers_agree_and_disjoint_ones_do_not() -> None:
    assert compare_answers(matches("abc"), matches("abc")).agreement == 1.0
    assert compare_answers(matches("abc"), matches("xyz")).agreement == 0.0
    assert compare_answers([], []).agreement == 1.0


def test_every_score_stands_in_a_bar_of_one_axis() -> None:
    draw = random.Random(1)
    left = [draw.uniform(-1, 1) for _ in range(200)]
    right = [draw.uniform(0.2, 0.4) for _ in range(50)]
    chart = draw_scores(left, right)
    assert chart is not None
    assert chart.least <= min(left) and chart.greatest >= max(left)
    for row, scores in zip(chart.rows, (left, right), strict=True):
        assert sum(bar.count for bar in row) == len(scores) and len(row) <= BIN_COUNT
        assert all(0 <= bar.x and bar.x + bar.width <= WIDTH for bar in row)
        assert all(0 <= bar.y and bar.y + bar.height == pytest.approx(HEIGHT) for bar in row)
    assert chart.means[1] == pytest.approx(sum(right) / 50)


def test_a_chart_of_one_score_or_of_one_side_is_drawn() -> None:
    assert draw_scores([], []) is None
    chart = draw_scores([0.5], [])
    assert chart is not None and [len(row) for row in chart.rows] == [1, 0]
    assert chart.means == (0.5, None)
