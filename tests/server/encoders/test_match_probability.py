"""Match probabilities of the service: those of the evaluator.

Of equal scores they differ by 1e-12 at most. Through stored vectors, which are fp16 where the
evaluator's are not, they may differ by .02, that of no match by .01; and a decision may differ
where the probability lies within .02 of its threshold.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.server.fake_encoder import MATCH_MODEL, MATCH_PROBABILITY, contract_json, make_contract
from tests.training.evaluation.drawn_products import DIM, draw_products, without
from twinshelf.server.catalogue.ranking import Candidates, Query, Ranking, rank
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding, score_products
from twinshelf.server.encoders.match_probability import JudgedCandidates, MatchProbability
from twinshelf.server.encoders.modalities import Pattern, Weights
from twinshelf.server.errors import EncoderContractError
from twinshelf.training.evaluation.pattern_search import search_gallery
from twinshelf.training.retrieval import match_probability as training
from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.fusion_weight import pattern_weights
from twinshelf.training.retrieval.match_probability_fit import NO_THRESHOLDS, fit_match_model

WEIGHTS = pattern_weights(0.3)


def fit_models(queries: Any, gallery: Any) -> training.MatchProbability:
    models = [
        fit_match_model(search_gallery(queries, gallery, weight).lists, weight)
        for weight in WEIGHTS.values()
    ]
    models.sort(key=lambda model: model.image_weight)
    return training.MatchProbability(models=tuple(models), match_prior=0.5)


def service_ranking(
    contract: EncoderContract, offer: OfferEmbedding, gallery: ProductEmbeddings, query: Query
) -> Ranking:
    """Ranks as the catalogue does: one part for each modality pattern of the products."""
    stored = np.concatenate([gallery.image, gallery.text], axis=1).astype(np.float16)
    parts = []
    for pattern in (Pattern.IMAGE, Pattern.TEXT, Pattern.BOTH):
        wanted = gallery.presence == [pattern.has_image, pattern.has_text]
        rows = np.flatnonzero(wanted.all(axis=1))
        if shared := Pattern(pattern & query.weights.pattern):
            only = np.zeros_like(rows)
            offers = [(offer, query.weights)]
            scores = score_products(offers, only, stored[rows], pattern, contract)
            parts.append(
                Candidates(query_numbers=only, product_numbers=rows, scores=scores, pattern=shared)
            )
    (ranking,) = rank(parts, [query])
    return ranking


def judge_alone(
    served: MatchProbability,
    scores: np.ndarray,
    image_weights: np.ndarray,
    *,
    prior: float = 0.5,
    target: float = 0.9,
) -> JudgedCandidates:
    """Judges the candidates of a single offer."""
    return served.judge(
        scores,
        image_weights,
        np.array([len(scores)]),
        match_priors=np.array([prior]),
        target_precisions=np.array([target]),
    )


@pytest.mark.slow
@pytest.mark.parametrize("image_weight", [0.0, 0.2, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("prior", [0.2, 0.5, 1.0])
def test_probabilities_of_service_and_evaluator_are_equal(
    image_weight: float, prior: float
) -> None:
    queries, gallery = draw_products(product_count=80)
    fitted = fit_models(queries, gallery)
    gallery = without(without(gallery, "image", slice(0, 9)), "text", slice(9, 15))
    values = json.loads(json.dumps(fitted.to_values()))
    contract = make_contract(image_dim=DIM, text_dim=DIM, match_probability=values)
    lists = search_gallery(queries, gallery, image_weight).lists
    expected = training.match_probabilities(lists, fitted.models, prior)
    thresholds = training.match_thresholds(fitted.models, lists.image_weights, prior, 0.9)
    for row in range(0, len(queries), 40):
        offer = OfferEmbedding(
            image=queries.embeddings.image[row], text=queries.embeddings.text[row]
        )
        query = Query(
            embedding=offer,
            weights=Weights(image=image_weight, text=1 - image_weight),
            match_count=50,
            min_probability=0.0,
            match_prior=prior,
            target_precision=0.9,
            contract=contract,
        )
        found = service_ranking(contract, offer, gallery.embeddings, query)
        matches = expected.matches[row, np.isfinite(lists.scores[row])]
        # Stored vectors are fp16: 11 bits a component, sharpened some twentyfold.
        assert [each.probability for each in found.best] == pytest.approx(matches, abs=0.02)
        assert found.no_match_probability == pytest.approx(expected.no_match[row], abs=0.01)
        clear = np.abs(matches - thresholds[row, : len(matches)]) > 0.02
        is_match = np.array([each.is_match for each in found.best])
        assert (is_match == (matches >= thresholds[row, : len(matches)]))[clear].all()


@pytest.mark.slow
def test_equal_scores_give_equal_probabilities_and_decisions() -> None:
    queries, gallery = draw_products(product_count=80)
    fitted = fit_models(queries, gallery)
    served = MatchProbability.from_values(fitted.to_values())
    lists = search_gallery(queries, gallery, WEIGHTS["both"]).lists
    lists = replace(lists, image_weights=np.tile([0.0, 0.3, 0.6, 1.0, 0.1], (len(lists), 10)))
    for prior, target in ((0.5, 0.95), (0.03, 0.7), (1.0, 0.995)):
        expected = training.match_probabilities(lists, fitted.models, prior)
        thresholds = training.match_thresholds(fitted.models, lists.image_weights, prior, target)
        for row in range(len(lists)):
            found = judge_alone(
                served, lists.scores[row], lists.image_weights[row], prior=prior, target=target
            )
            assert found.probabilities == pytest.approx(expected.matches[row], abs=1e-12)
            assert found.no_match_probabilities == pytest.approx(expected.no_match[row], abs=1e-12)
            assert (found.is_match == (expected.matches[row] >= thresholds[row])).all()


def test_what_lies_beyond_the_list_is_judged_beside_it() -> None:
    served = MatchProbability.from_values(MATCH_PROBABILITY | {"list_length": 2})
    scores, weights = np.array([0.9, 0.8, 0.7]), np.full(3, 0.5)
    whole, cut = (judge_alone(served, scores[:n], weights[:n]) for n in (3, 2))
    assert whole.probabilities[:2].tolist() == cut.probabilities.tolist()
    assert whole.no_match_probabilities == cut.no_match_probabilities
    assert 0 < whole.probabilities[2] < whole.probabilities[1]


def test_without_a_threshold_not_even_what_is_certain_is_a_match() -> None:
    model = training.MatchModel(
        image_weight=0.5,
        steepness=4.0,
        even_score=0.5,
        sharpness=20.0,
        rivalry=1.0,
        thresholds=NO_THRESHOLDS,
    )
    values = training.MatchProbability(models=(model,), match_prior=0.5).to_values()
    served = MatchProbability.from_values(values)
    found = judge_alone(served, np.array([0.9]), np.array([0.5]), prior=1.0, target=0.5)
    assert (found.probabilities.tolist(), found.is_match.tolist()) == ([1.0], [False])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"match_prior": 0}, "match_prior must be above 0"),
        ({"list_length": 0}, "list_length 1 or more"),
        ({"priors": [0.5, 0.2]}, "priors must rise"),
        ({"targets": [0.5]}, "thresholds must be"),
        ({"score_ceiling": 0.4}, "even_score must be below 0.4"),
        ({"models": [MATCH_MODEL | {"steepness": -1}]}, "out of range"),
        ({"models": []}, "image_weights must rise"),
    ],
)
def test_numbers_out_of_range_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(EncoderContractError, match=sentence):
        EncoderContract.from_json(contract_json(match_probability=MATCH_PROBABILITY | changes))
