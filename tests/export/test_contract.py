"""The contract: all that its readers need, also when a pattern has no calibration."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from twinshelf.export.contract import build_contract, contract_to_json
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.training.categories.category_results import Choice
from twinshelf.training.checkpoint import TrainedEncoder
from twinshelf.training.retrieval.calibration import Curve
from twinshelf.training.retrieval.match_probability import NEVER

pytestmark = pytest.mark.slow

DIGEST = "sha256:" + "0f" * 32


def build(
    encoder: TrainedEncoder, *, version: int = 1, category_votes: Mapping[str, Choice] | None = None
) -> dict[str, Any]:
    return build_contract(
        encoder,
        version=version,
        digest=DIGEST,
        max_batch_size=32,
        precision="fp32",
        category_votes=category_votes or {},
    )


@pytest.fixture
def contract(encoder: TrainedEncoder) -> dict[str, Any]:
    return build(encoder, version=4)


def test_contract_holds_sizes_weight_and_preprocessing(contract: dict[str, Any]) -> None:
    assert contract["contract_version"] == 3
    assert contract["encoder_version"] == 4
    assert contract["digest"] == DIGEST
    assert (contract["image_dim"], contract["text_dim"], contract["embedding_dim"]) == (12, 12, 24)
    assert contract["fusion_weight"] == 0.6
    assert contract["max_batch_size"] == 32
    assert contract["preprocessing"]["query_prefix"] == "query: "
    assert contract["preprocessing"]["token_buckets"] == [8, 16, 48]


def test_the_server_reads_the_contract(contract: dict[str, Any]) -> None:
    read = EncoderContract.from_json(contract_to_json(contract))
    assert (read.version, read.digest, read.fusion_weight) == (4, DIGEST, 0.6)
    assert (read.image_dimension, read.text_dimension) == (12, 12)
    assert read.text_fields.passage_prefix == "passage: "
    assert read.match_probability.image_weights == (0.0, 0.6, 1.0)
    assert read.match_probability.steepness == (4.0, 4.0, 4.0)


def test_the_server_reads_what_scores_of_pairs_mean(
    encoder: TrainedEncoder, contract: dict[str, Any]
) -> None:
    read = EncoderContract.from_json(contract_to_json(contract))
    calibration = encoder.calibration
    assert calibration is not None
    assert {pattern.key for pattern in read.pair_curves} == set(calibration.curves)
    scores = np.linspace(-1, 1, 21)
    for pattern, curve in read.pair_curves.items():
        assert curve.threshold == calibration.thresholds[pattern.key]
        expected = calibration.curves[pattern.key].probability(scores)
        np.testing.assert_array_equal(curve.probability(scores), expected)
    bare = dataclasses.replace(encoder, calibration=None)
    assert build(bare)["pair_curves"] == {}


def test_the_server_reads_what_margins_of_votes_mean(encoder: TrainedEncoder) -> None:
    choice = Choice(
        neighbour_count=7,
        curve=Curve(scores=(0.1, 0.8), probabilities=(0.2, 0.9)),
        thresholds=(0.5, 0.5, 0.6, 0.7, 0.8, NEVER, NEVER),
        tuned_f1=0.8,
        f1_by_k={7: 0.8},
    )
    votes = build(encoder, category_votes={"text": choice})
    read = EncoderContract.from_json(contract_to_json(votes)).category_curves
    assert set(read) == {Pattern.TEXT}
    assert read[Pattern.TEXT].neighbour_count == 7
    assert read[Pattern.TEXT].probability(0.45) == choice.curve.probability(0.45)
    assert read[Pattern.TEXT].threshold(0.93) == choice.threshold(0.93)
    assert build(encoder)["category_curves"] == {}


def test_the_json_is_compact_and_always_the_same(contract: dict[str, Any]) -> None:
    text = contract_to_json(contract)
    assert json.loads(text) == contract
    assert ": " not in text.replace("query: ", "").replace("passage: ", "")
    assert text == contract_to_json(dict(reversed(contract.items())))


def test_a_pattern_without_calibration_claims_no_match(
    encoder: TrainedEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    assert encoder.calibration is not None and encoder.calibration.matches is not None
    fitted = dataclasses.replace(
        encoder.calibration.matches, models=encoder.calibration.matches.models[:1]
    )
    calibration = dataclasses.replace(encoder.calibration, matches=fitted)
    partial = dataclasses.replace(encoder, calibration=calibration)
    with caplog.at_level(logging.WARNING):
        contract = build(partial)
    assert "image and both are not calibrated" in caplog.text
    read = EncoderContract.from_json(contract_to_json(contract)).match_probability
    assert read.image_weights == (0.0, 0.6, 1.0)
    scores, image_weights = np.array([0.99, 0.5]), np.array([1.0, 1.0])
    half = np.array([0.5])
    judged = read.judge(
        scores, image_weights, np.array([2]), match_priors=half, target_precisions=half
    )
    assert judged.probabilities[0] > judged.probabilities[1] and not judged.is_match.any()
