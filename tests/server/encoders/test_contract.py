"""The encoder contract: reading it, and how it joins text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.server.fake_encoder import contract_json, digest_of, make_contract
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import EncoderContractError
from twinshelf.training.preprocessing.settings import PreprocessingSettings
from twinshelf.training.preprocessing.texts import join_fields, normalise_text


def test_a_contract_is_read() -> None:
    contract = make_contract("some", 3)
    assert (contract.digest, contract.version) == (digest_of("some"), 3)
    assert (contract.image_dimension, contract.dimension) == (16, 32)
    assert contract.weights.image == pytest.approx(0.3)
    assert contract.match_probability.image_weights == (0.5,)
    assert contract == make_contract("some", 3)
    # As older versions were published, or runs without categories.
    assert contract.pair_curves == {} and contract.category_curves == {}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"contract_version": 1}, "contract_version must be 3, got 1; publish the encoder again"),
        ({"digest": "md5:0"}, "digest must be sha256"),
        ({"encoder_version": 0}, "version must be 1 or more"),
        ({"fusion_weight": 1.0}, "fusion_weight must lie between 0 and 1"),
        ({"image_dim": -1}, "image_dimension must be 1 or more"),
        ({"match_probability": {}}, "lacks 'models'"),
        ({"preprocessing": {}}, "lacks 'text_fields'"),
        ({"match_probability": None}, "cannot be read"),
        ({"pair_curves": {"image": {"scores": [1, 0]}}}, "lacks 'probabilities'"),
        (
            {"pair_curves": {"both": {"scores": [1, 0], "probabilities": [0, 1], "threshold": 0}}},
            "scores of a curve must rise",
        ),
    ],
)
def test_a_malformed_contract_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(EncoderContractError, match=sentence):
        EncoderContract.from_json(contract_json(**changes))


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_what_is_no_contract_is_refused(text: str) -> None:
    with pytest.raises(EncoderContractError):
        EncoderContract.from_json(text)


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "Mug"},
        {"title": " Blue  <b>mug</b> &amp; plate\n", "brand": "Acme", "description": "<br>"},
        {"title": "", "category": "  ", "description": "only this"},
        {"attributes": {"volume": "300 ml", "colour": "blue", "empty": " "}},
        {"title": "Кружка", "attributes": {}, "brand": "<i></i>", "category": "Кухня"},
        {"title": "tea <!-- x", "brand": "Acme", "description": "gold <!-- c --> | ring"},
        {"title": "<br>", "attributes": {"colour": "red", "note": "<br/>", "size": "&nbsp;"}},
        {"title": "a\x1cb\x1dc\x1ed\x1fe", "brand": "x\x1fy"},
        {"title": "gel\x1f", "attributes": {"\x1ea": "b\x1d", "c": "\x1c"}},
    ],
)
@pytest.mark.parametrize("prefix", ["", "query: "])
def test_a_text_that_is_joined_here_is_that_of_training(
    fields: dict[str, str | dict[str, str]], prefix: str
) -> None:
    settings = PreprocessingSettings(query_prefix=prefix)
    preprocessing = json.loads(settings.to_json())
    text_fields = make_contract(preprocessing=preprocessing).text_fields
    joined = text_fields.join(fields, prefix=prefix)
    assert joined is not None
    there = join_fields(fields, settings, prefix=prefix)
    assert normalise_text(joined, settings) == normalise_text(there, settings) != ""


def test_blank_fields_are_no_text() -> None:
    text_fields = make_contract().text_fields
    assert text_fields.join({"title": " \n", "attributes": {}}, prefix="query: ") is None
    assert text_fields.join({"unknown": "x"}, prefix="query: ") is None
