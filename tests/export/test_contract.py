"""The contract: all that its readers need, also when a pattern has no calibration."""

from __future__ import annotations

import dataclasses
import json
import logging

import pytest

from export.contract import build_contract, contract_to_json
from server.encoders.contract import EncoderContract
from server.encoders.modalities import Pattern
from training.calibration import Calibration

DIGEST = "sha256:" + "0f" * 32


@pytest.fixture
def contract(encoder):
    return build_contract(encoder, version=4, digest=DIGEST, max_batch_size=32)


def test_contract_holds_sizes_weight_and_preprocessing(contract):
    assert contract["contract_version"] == 1
    assert contract["encoder_version"] == 4
    assert contract["digest"] == DIGEST
    assert (contract["image_dim"], contract["text_dim"], contract["embedding_dim"]) == (12, 12, 24)
    assert contract["fusion_weight"] == 0.6
    assert contract["max_batch_size"] == 32
    assert contract["preprocessing"]["query_prefix"] == "query: "
    assert contract["preprocessing"]["token_buckets"] == [8, 16, 48]
    assert contract["calibration"]["text"] == {"scores": [0.2, 0.7], "probabilities": [0.1, 1.0]}
    assert contract["thresholds"] == {"image": 0.7, "text": 0.6, "both": 0.65}


def test_the_server_reads_the_contract(contract):
    read = EncoderContract.from_json(contract_to_json(contract))
    assert (read.version, read.digest, read.fusion_weight) == (4, DIGEST, 0.6)
    assert (read.image_dimension, read.text_dimension) == (12, 12)
    assert read.text_fields.passage_prefix == "passage: "
    assert read.calibration[Pattern.BOTH].probability(0.6) == pytest.approx(0.5)


def test_the_json_is_compact_and_always_the_same(contract):
    text = contract_to_json(contract)
    assert json.loads(text) == contract
    assert ": " not in text.replace("query: ", "").replace("passage: ", "")
    assert text == contract_to_json(dict(reversed(contract.items())))


def test_a_pattern_without_calibration_claims_no_match(encoder, caplog):
    calibration = Calibration(
        curves={"text": encoder.calibration.curves["text"]}, thresholds={"text": 0.6}
    )
    partial = dataclasses.replace(encoder, calibration=calibration)
    with caplog.at_level(logging.WARNING):
        contract = build_contract(partial, version=1, digest=DIGEST, max_batch_size=32)
    assert "image and both are not calibrated" in caplog.text
    assert contract["thresholds"] == {"image": 1.0, "text": 0.6, "both": 1.0}
    assert EncoderContract.from_json(contract_to_json(contract)).calibration[Pattern.IMAGE]
