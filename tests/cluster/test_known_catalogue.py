"""The answers of a made catalogue are those of a look at every vector."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cluster.known_catalogue import DEPTH, draw_titles, make_catalogue
from tests.server.fake_encoder import hashed_row, make_contract
from twinshelf.server.encoders.embedding import OfferEmbedding, score_products
from twinshelf.server.encoders.modalities import Pattern, Weights

CONTRACT = make_contract(image_dim=64, text_dim=64, embedding_dim=128)
TITLES = draw_titles(20, seed=3)
QUERIES = {title: hashed_row(title.encode(), 64) for title in TITLES}
NONE = np.zeros((0, 64), dtype=np.float32)


def test_answers_are_the_exact_best_and_far_from_all_others() -> None:
    known = make_catalogue(CONTRACT, 2000, QUERIES, NONE, np.random.default_rng(0))
    assert list(known.answers) == TITLES
    ids = list(known.titles)
    for title, answer in known.answers.items():
        offer = OfferEmbedding(image=None, text=QUERIES[title])
        weights = Weights(image=0, text=1)
        scores = score_products(
            [(offer, weights)], np.zeros(2000, int), known.vectors, Pattern.BOTH, CONTRACT
        ).total
        order = np.argsort(-scores, kind="stable")
        assert answer == tuple(ids[row] for row in order[:DEPTH])
        assert np.diff(scores[order[:DEPTH]]).max() < -0.0005
        assert scores[order[DEPTH]] < 0.9


def test_a_query_that_would_meet_a_written_product_is_left_out() -> None:
    met = QUERIES[TITLES[0]][np.newaxis]
    known = make_catalogue(CONTRACT, 2000, QUERIES, met, np.random.default_rng(0))
    assert list(known.answers) == TITLES[1:]


def test_too_few_products_are_refused() -> None:
    with pytest.raises(ValueError, match="need 200 products, got 199"):
        make_catalogue(CONTRACT, 199, QUERIES, NONE, np.random.default_rng(0))


def test_titles_are_drawn_once_each_and_the_same_for_a_seed() -> None:
    assert len(set(TITLES)) == 20
    assert draw_titles(20, seed=3) == TITLES != draw_titles(20, seed=4)
