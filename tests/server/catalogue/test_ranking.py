"""Ranking: order, ties, what a rival takes, and the cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.server.fake_encoder import hashed_row, make_contract
from twinshelf.server.catalogue.ranking import Candidates, Query, Ranking, rank
from twinshelf.server.encoders.embedding import OfferEmbedding, Scores
from twinshelf.server.encoders.modalities import Pattern, Weights

QUERY = Query(
    embedding=OfferEmbedding(image=hashed_row(b"i", 16), text=hashed_row(b"t", 16)),
    weights=Weights(image=0.5, text=0.5),
    match_count=10,
    min_probability=0.0,
    match_prior=0.5,
    target_precision=0.9,
    contract=make_contract(),
)


def candidates(scores: dict[int, float], pattern: Pattern = Pattern.BOTH) -> Candidates:
    total = np.array(list(scores.values()), dtype=np.float32)
    return Candidates(
        product_numbers=np.array(list(scores)),
        scores=Scores(
            total=total,
            image=total if pattern.has_image else None,
            text=total if pattern.has_text else None,
        ),
        pattern=pattern,
    )


def test_the_best_come_first_and_of_equals_the_one_stored_first() -> None:
    found = rank([candidates({7: 0.5, 2: 0.9}), candidates({3: 0.5})], QUERY).best
    assert [item.product_number for item in found] == [2, 3, 7]


def test_a_match_tells_what_made_its_score() -> None:
    parts = [
        candidates({1: 0.75}, Pattern.TEXT),
        candidates({2: 0.5}),
        candidates({3: 0.25}, Pattern.IMAGE),
    ]
    found = rank(parts, QUERY).best
    assert [item.pattern for item in found] == [Pattern.TEXT, Pattern.BOTH, Pattern.IMAGE]
    assert [(item.image_score, item.text_score) for item in found] == [
        (None, 0.75),
        (0.5, 0.5),
        (0.25, None),
    ]


def test_a_rival_takes_probability_even_when_it_is_cut() -> None:
    alone = rank([candidates({1: 0.9})], QUERY)
    beside = rank([candidates({1: 0.9, 2: 0.9})], replace(QUERY, match_count=1))
    assert alone.no_match_probability == beside.no_match_probability
    assert beside.best[0].probability == pytest.approx(alone.best[0].probability / 2)
    assert alone.best[0].is_match and not beside.best[0].is_match


def test_a_product_that_comes_twice_is_one_hit() -> None:
    found = rank(
        [candidates({1: 0.75, 2: 0.5}), candidates({1: 0.25})], replace(QUERY, match_count=2)
    ).best
    assert [(item.product_number, item.score) for item in found] == [(1, 0.75), (2, 0.5)]


def test_without_candidates_there_is_no_match() -> None:
    assert rank([], QUERY) == Ranking(best=(), count=0, no_match_probability=1.0)


def test_the_unlikely_go_before_the_cut() -> None:
    parts = [candidates({1: 0.9, 2: 0.88, 3: 0.86, 4: 0.1})]
    found = rank(parts, QUERY).best
    least = found[1].probability
    likely = rank(parts, replace(QUERY, min_probability=least, match_count=3)).best
    assert likely == found[:2]
    (second,) = rank(parts, replace(QUERY, min_probability=least, skip_count=1)).best
    assert second == found[1]


def test_candidates_are_somewhat_more_than_the_matches() -> None:
    assert replace(QUERY, match_count=1).candidate_count == 64
    assert replace(QUERY, match_count=1000).candidate_count == 1125
