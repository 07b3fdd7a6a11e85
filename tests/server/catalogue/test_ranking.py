"""Ranking: order, ties, what a rival takes, and the cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.server.fake_encoder import hashed_row, make_contract
from twinshelf.server.catalogue.ranking import (
    Candidates,
    Query,
    Ranking,
    ValueLimit,
    rank,
)
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
        query_numbers=np.zeros(len(scores), dtype=np.int64),
        product_numbers=np.array(list(scores)),
        scores=Scores(
            total=total,
            image=total if pattern.has_image else None,
            text=total if pattern.has_text else None,
        ),
        pattern=pattern,
    )


def rank_alone(parts: list[Candidates], query: Query) -> Ranking:
    (ranking,) = rank(parts, [query])
    return ranking


def test_the_best_come_first_and_of_equals_the_one_stored_first() -> None:
    found = rank_alone([candidates({7: 0.5, 2: 0.9}), candidates({3: 0.5})], QUERY).best
    assert [item.product_number for item in found] == [2, 3, 7]


def test_a_match_tells_what_made_its_score() -> None:
    parts = [
        candidates({1: 0.75}, Pattern.TEXT),
        candidates({2: 0.5}),
        candidates({3: 0.25}, Pattern.IMAGE),
    ]
    found = rank_alone(parts, QUERY).best
    assert [item.pattern for item in found] == [Pattern.TEXT, Pattern.BOTH, Pattern.IMAGE]
    assert [(item.image_score, item.text_score) for item in found] == [
        (None, 0.75),
        (0.5, 0.5),
        (0.25, None),
    ]


def test_a_rival_takes_probability_even_when_it_is_cut() -> None:
    alone = rank_alone([candidates({1: 0.9})], QUERY)
    beside = rank_alone([candidates({1: 0.9, 2: 0.9})], replace(QUERY, match_count=1))
    assert alone.no_match_probability == beside.no_match_probability
    assert beside.best[0].probability == pytest.approx(alone.best[0].probability / 2)
    assert alone.best[0].is_match and not beside.best[0].is_match


def test_a_product_that_comes_twice_is_one_hit() -> None:
    found = rank_alone(
        [candidates({1: 0.75, 2: 0.5}), candidates({1: 0.25})], replace(QUERY, match_count=2)
    ).best
    assert [(item.product_number, item.score) for item in found] == [(1, 0.75), (2, 0.5)]


def test_without_candidates_there_is_no_match() -> None:
    assert rank_alone([], QUERY) == Ranking(best=(), count=0, no_match_probability=1.0)


def test_the_unlikely_go_before_the_cut() -> None:
    parts = [candidates({1: 0.9, 2: 0.88, 3: 0.86, 4: 0.1})]
    found = rank_alone(parts, QUERY).best
    least = found[1].probability
    likely = rank_alone(parts, replace(QUERY, min_probability=least, match_count=3)).best
    assert likely == found[:2]
    (second,) = rank_alone(parts, replace(QUERY, min_probability=least, skip_count=1)).best
    assert second == found[1]


def draw_part(
    generator: np.random.Generator, owners: npt.NDArray[np.int64], pattern: Pattern
) -> Candidates:
    """Draws candidates of which some come twice, and some are equally alike."""
    image, text = generator.integers(8, size=(2, len(owners))).astype(np.float32) / 8
    return Candidates(
        query_numbers=owners,
        product_numbers=generator.integers(1, 30, size=len(owners)),
        scores=Scores(
            total=image if pattern is Pattern.IMAGE else (image + text) / 2,
            image=image,
            text=None if pattern is Pattern.IMAGE else text,
        ),
        pattern=pattern,
        value_keys=generator.integers(3, size=len(owners)),
    )


def part_of(number: int, part: Candidates) -> Candidates:
    """Returns the candidates of one query, as if it were the only one."""
    rows = np.flatnonzero(part.query_numbers == number)
    image, text = part.scores.image, part.scores.text
    assert image is not None and part.value_keys is not None
    return Candidates(
        query_numbers=np.zeros_like(rows),
        product_numbers=part.product_numbers[rows],
        scores=Scores(
            total=part.scores.total[rows],
            image=image[rows],
            text=None if text is None else text[rows],
        ),
        pattern=part.pattern,
        value_keys=part.value_keys[rows],
    )


@pytest.mark.parametrize("seed", range(20))
def test_queries_together_are_ranked_as_each_alone(seed: int) -> None:
    generator = np.random.default_rng(seed)
    queries = [
        replace(
            QUERY,
            weights=Weights(image=weight, text=1 - weight),
            match_count=int(generator.integers(1, 30)),
            skip_count=int(generator.integers(3)),
            min_probability=float(generator.choice([0.0, 0.01])),
            match_prior=float(generator.choice([0.3, 0.5, 1.0])),
            target_precision=float(generator.choice([0.8, 0.9])),
            value_limit=ValueLimit(field="seller", match_count=2)
            if generator.random() < 0.3
            else None,
        )
        for weight in generator.choice([0.2, 0.5, 0.7], size=5)
    ]
    # One of them finds nothing.
    owners = [np.sort(generator.choice([0, 1, 3, 4], size=size)) for size in (150, 90, 0)]
    parts = [
        draw_part(generator, each, pattern)
        for each, pattern in zip(owners, (Pattern.BOTH, Pattern.IMAGE, Pattern.BOTH), strict=True)
    ]
    together = rank(parts, queries)
    for number, query in enumerate(queries):
        assert together[number] == rank_alone([part_of(number, each) for each in parts], query)
    assert together[2] == Ranking(best=(), count=0, no_match_probability=1.0)


def test_candidates_are_somewhat_more_than_the_matches() -> None:
    assert replace(QUERY, match_count=1).candidate_count == 64
    assert replace(QUERY, match_count=1000).candidate_count == 1125
