"""Ranking: order, ties, calibration by pattern, and the cut."""

from __future__ import annotations

import numpy as np

from server.catalogue.ranking import Query, rank
from server.encoders.embedding import OfferEmbedding, Scores
from server.encoders.modalities import Pattern, Weights
from tests.server.fake_encoder import hashed_row, make_contract

FLAT = {"scores": [-1, 1], "probabilities": [0.25, 0.25]}
RISING = {"scores": [0, 1], "probabilities": [0, 1]}
CONTRACT = make_contract(calibration={"image": FLAT, "text": RISING, "both": RISING})
NAN = np.nan


def query(**changes: object) -> Query:
    values = {
        "embedding": OfferEmbedding(image=hashed_row(b"i", 16), text=hashed_row(b"t", 16)),
        "weights": Weights(image=0.5, text=0.5),
        "match_count": 10,
        "min_probability": 0.0,
        "contract": CONTRACT,
    }
    return Query(**(values | changes))


def scores(*rows: tuple[float, float, float]) -> Scores:
    total, image, text = np.array(rows, dtype=np.float32).T
    return Scores(total=total, image=image, text=text)


def test_the_best_come_first_and_equals_by_product_id() -> None:
    found = rank(
        scores((0.5, 0.5, 0.5), (0.9, 0.9, 0.9), (0.5, 0.5, 0.5)), ["b", "c", "a"], query()
    )
    assert [item.position for item in found] == [1, 2, 0]


def test_probabilities_come_from_the_curve_of_the_shared_modalities() -> None:
    found = rank(
        scores((0.75, NAN, 0.75), (0.5, 0.5, 0.5), (0.25, 0.25, NAN)), ["t", "b", "i"], query()
    )
    assert [item.pattern for item in found] == [Pattern.TEXT, Pattern.BOTH, Pattern.IMAGE]
    assert [item.probability for item in found] == [0.75, 0.5, 0.25]
    assert [(item.image_score, item.text_score) for item in found] == [
        (None, 0.75),
        (0.5, 0.5),
        (0.25, None),
    ]


def test_a_modality_of_no_weight_shows_its_cosine_but_makes_no_score() -> None:
    (found,) = rank(scores((0.5, 0.9, 0.5)), ["p"], query(weights=Weights(image=0, text=1)))
    assert found.pattern is Pattern.TEXT
    assert found.probability == 0.5
    assert found.image_score is not None


def test_what_shares_no_modality_is_left_out() -> None:
    assert rank(scores((NAN, NAN, NAN)), ["p"], query()) == []
    assert rank(Scores(**dict.fromkeys(("total", "image", "text"), np.empty(0))), [], query()) == []


def test_the_unlikely_go_before_the_cut() -> None:
    rows = scores((0.9, 0.9, NAN), (0.8, NAN, 0.8), (0.7, NAN, 0.7), (0.1, NAN, 0.1))
    found = rank(rows, list("abcd"), query(min_probability=0.5, match_count=2))
    assert [item.position for item in found] == [1, 2]


def test_candidates_are_some_times_as_many_as_the_matches() -> None:
    assert query(match_count=1).candidate_count == 64
    assert query(match_count=1000).candidate_count == 4000
