"""The encoder contract: reading it, its curves, and how it joins text."""

from __future__ import annotations

import json

import numpy as np
import pytest

from server.encoders.contract import EncoderContract
from server.encoders.modalities import Pattern
from server.errors import EncoderContractError
from tests.server.fake_encoder import contract_json, digest_of, make_contract
from training.preprocessing.settings import PreprocessingSettings
from training.preprocessing.texts import join_fields, normalise_text


def test_a_contract_is_read() -> None:
    contract = make_contract("some", 3)
    assert (contract.digest, contract.version) == (digest_of("some"), 3)
    assert (contract.image_dimension, contract.dimension) == (16, 32)
    assert contract.weights.image == pytest.approx(0.3)
    assert contract.calibration[Pattern.TEXT].probability(0.5) == pytest.approx(0.55)
    assert contract == make_contract("some", 3)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"contract_version": 2}, "contract_version must be 1, got 2"),
        ({"digest": "md5:0"}, "digest must be sha256"),
        ({"encoder_version": 0}, "version must be 1 or more"),
        ({"fusion_weight": 1.0}, "fusion_weight must lie between 0 and 1"),
        ({"image_dim": -1}, "image_dimension must be 1 or more"),
        ({"calibration": {}}, "lacks 'image'"),
        ({"preprocessing": {}}, "lacks 'text_fields'"),
        ({"calibration": None}, "cannot be read"),
    ],
)
def test_a_malformed_contract_is_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(EncoderContractError, match=sentence):
        EncoderContract.from_json(contract_json(**changes))


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_what_is_no_contract_is_refused(text: str) -> None:
    with pytest.raises(EncoderContractError):
        EncoderContract.from_json(text)


@pytest.mark.parametrize(
    "curve",
    [
        {"scores": [], "probabilities": []},
        {"scores": [0, 1], "probabilities": [0]},
        {"scores": [1, 0], "probabilities": [0, 1]},
        {"scores": [0, 1], "probabilities": [1, 0]},
        {"scores": [0, 1], "probabilities": [0, 1.5]},
        {"scores": [0, float("nan")], "probabilities": [0, 1]},
    ],
)
def test_a_curve_that_is_no_calibration_is_refused(curve: dict[str, list[float]]) -> None:
    values = json.loads(contract_json())
    values["calibration"]["both"] = curve
    with pytest.raises(EncoderContractError, match="calibration curve"):
        EncoderContract.from_json(json.dumps(values))


def test_a_curve_is_linear_between_its_points_and_flat_beyond() -> None:
    curve = make_contract().calibration[Pattern.BOTH]
    scores = np.linspace(-2, 2, 41)
    expected = np.interp(scores, [-1, 0, 1], [0, 0.1, 1])
    assert [curve.probability(score) for score in scores] == pytest.approx(expected.tolist())


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "Mug"},
        {"title": " Blue  <b>mug</b> &amp; plate\n", "brand": "Acme", "description": "<br>"},
        {"title": "", "category": "  ", "description": "only this"},
        {"attributes": {"volume": "300 ml", "colour": "blue", "empty": " "}},
        {"title": "Кружка", "attributes": {}, "brand": "<i></i>", "category": "Кухня"},
    ],
)
def test_joining_here_and_cleaning_there_equals_what_training_does(
    fields: dict[str, str | dict[str, str]],
) -> None:
    settings = PreprocessingSettings()
    preprocessing = json.loads(settings.to_json())
    text_fields = make_contract(preprocessing=preprocessing).text_fields
    joined = text_fields.join(fields, prefix="")
    assert joined is not None
    assert normalise_text(joined, settings) == join_fields(fields, settings)


def test_blank_fields_are_no_text() -> None:
    text_fields = make_contract().text_fields
    assert text_fields.join({"title": " \n", "attributes": {}}, prefix="query: ") is None
    assert text_fields.join({"unknown": "x"}, prefix="query: ") is None
